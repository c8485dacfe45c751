"""The next category for a customer: what those who buy the same also buy.

Item-based, by correlation (Sarwar et al. 2001): two categories are similar if customers who buy one buy the other more often than all
customers do. A category that nearly everyone buys is similar to none, so it decides nothing.
"""

import ibis
import ibis.expr.types as ir

from segmentation_assets.core.application.holdout import draws, is_drawn, prefix, threshold

MOST_CATEGORIES = 200  # the most bought ones, because pairs grow with the square
LEAST_TOGETHER = 20  # customers who bought both: fewer say little
NEIGHBOURS = 10  # most similar ones, of each category
SAMPLE = 100_000  # customers from whom similarities are learnt
EXACT = "decimal(18, 6)"  # of similarities, so that they add up to the same sum in whatever order
UNKNOWN = "unknown"  # the category of lines without one


def next_categories(concerned: ir.Table, customers: ir.Table, categories: ir.Table, share: float = 1.0) -> ir.Table:
    """customer_id, next_category: of the categories that a customer has not bought, the one most similar to all that they have, by the sum
    of similarities; the first by name if several are equal. Customers without any are left out.

    Args:
        concerned: customer_id of those for whom it is wanted.
        customers: customer_id of all customers, once each, so that each is hashed once.
        categories: customer_category_activity within the lookback.
        share: of customers from whom similarities are learnt.
    """
    drawn = is_drawn(draws(prefix("", "next category"), customers.customer_id), threshold(share))
    sample = categories.semi_join(customers.filter(drawn), "customer_id") if share < 1 else categories
    pairs = similarities(_bought(sample))
    own = _bought(categories.semi_join(concerned, "customer_id"))
    similar = own.join(pairs, "category").group_by("customer_id", "other").agg(score=ibis._.similarity.cast(EXACT).sum())
    new = similar.anti_join(own, [similar.customer_id == own.customer_id, similar.other == own.category])
    place = ibis.row_number().over(group_by="customer_id", order_by=[ibis.desc(new.score), new.other])
    return new.mutate(place=place).filter(ibis._.place == 0).select("customer_id", next_category="other")


def _bought(categories: ir.Table) -> ir.Table:
    """customer_id, category: who bought what."""
    return categories.filter((categories.bought_lines > 0) & (categories.category != UNKNOWN)).select("customer_id", "category").distinct()


def similarities(bought: ir.Table) -> ir.Table:
    """category, other, similarity: for each category the NEIGHBOURS others most correlated with it over customers, above 0.

    Args:
        bought: customer_id and category, each pair once.
    """
    sizes = bought.group_by("category").agg(buyers=bought.count())
    frequent = sizes.order_by(ibis.desc("buyers"), "category").limit(MOST_CATEGORIES)
    kept = bought.semi_join(frequent, "category")
    one, two = kept.select("customer_id", "category"), kept.select(who="customer_id", other="category").view()
    both = one.join(two, [one.customer_id == two.who, one.category != two.other])
    counts = both.group_by("category", "other").agg(together=both.count())
    together = counts.filter(counts.together >= LEAST_TOGETHER)
    everyone = bought.agg(everyone=bought.customer_id.nunique())
    of_other = frequent.select(other_one="category", other_buyers="buyers")
    joined = together.join(frequent, "category").join(of_other, together.other == of_other.other_one).cross_join(everyone)
    n, a, b, ab = (joined[name].cast("float64") for name in ("everyone", "buyers", "other_buyers", "together"))
    spread = (a * (n - a) * b * (n - b)).sqrt().nullif(0)
    known = joined.select("category", "other", similarity=(n * ab - a * b) / spread)
    alike = known.filter(known.similarity > 0)
    rank = ibis.row_number().over(group_by="category", order_by=[ibis.desc(alike.similarity), alike.other])
    return alike.mutate(rank=rank).filter(ibis._["rank"] < NEIGHBOURS).drop("rank")
