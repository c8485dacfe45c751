"""The next category for a customer: what those who buy their usual one also buy.

Association by lift (Brin et al. 1997), between categories as items (item-to-item, Sarwar et al. 2001): how much more often two categories
are bought by the same customer than if they were bought independently.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.application.holdout import draws, is_drawn, prefix, threshold

MOST_CATEGORIES = 200  # the most bought ones, because pairs grow with the square
LEAST_TOGETHER = 20  # customers who bought both: the lift of fewer says little
NEIGHBOURS = 20  # of each category: whoever has bought them all gets none
SAMPLE = 100_000  # customers from whom lifts are learnt
UNKNOWN = "unknown"  # the category of lines without one


def next_categories(customers: ir.Table, categories: ir.Table, share: float = 1.0) -> ir.Table:
    """customer_id, next_category: the category with the highest lift over the customer's usual one that the customer has not bought.

    Customers without any are left out: who bought nothing, whose usual category is rare, or who bought all that goes with it.

    Args:
        customers: customer_id and usual_category.
        categories: customer_category_activity within the lookback.
        share: of customers from whom lifts are learnt.
    """
    bought = _bought(categories)
    pairs = lifts(
        bought.filter(is_drawn(draws(prefix("", "next category"), bought.customer_id), threshold(share))) if share < 1 else bought
    )
    seeds = customers.filter(customers.usual_category.notnull()).select("customer_id", "usual_category")
    offers = seeds.join(pairs, seeds.usual_category == pairs.category).select("customer_id", "other", "rank")
    new = offers.anti_join(bought, [offers.customer_id == bought.customer_id, offers.other == bought.category])
    return new.group_by("customer_id").agg(next_category=new.other.argmin(new["rank"]))


def _bought(categories: ir.Table) -> ir.Table:
    """customer_id, category: who bought what."""
    return categories.filter((categories.bought_lines > 0) & (categories.category != UNKNOWN)).select("customer_id", "category").distinct()


def lifts(bought: ir.Table) -> ir.Table:
    """category, other, lift, rank: for each category the others with the highest lift, which is above 1; 1 is the highest.

    Args:
        bought: customer_id and category, each pair once.
    """
    sizes = bought.group_by("category").agg(buyers=bought.count())
    frequent = sizes.order_by(ibis.desc("buyers"), "category").limit(MOST_CATEGORIES)
    kept = bought.semi_join(frequent, "category")
    one, two = kept.select("customer_id", "category"), kept.select(who="customer_id", other="category").view()
    both = one.join(two, [one.customer_id == two.who, one.category != two.other])
    together = both.group_by("category", "other").agg(together=both.count()).filter(ibis._.together >= LEAST_TOGETHER)
    everyone = bought.agg(everyone=bought.customer_id.nunique())
    of_other = frequent.select(other_one="category", other_buyers="buyers")
    joined = together.join(frequent, "category").join(of_other, together.other == of_other.other_one).cross_join(everyone)
    expected = joined.buyers.cast("float64") * joined.other_buyers.cast("float64") / joined.everyone.cast("float64")
    known = joined.select("category", "other", lift=joined.together.cast("float64") / expected)
    above = known.filter(known.lift > 1)
    ranked = above.mutate(rank=ibis.row_number().over(group_by="category", order_by=[ibis.desc(above.lift), above.other]) + 1)
    return ranked.filter(ranked["rank"] <= NEIGHBOURS)
