"""The `playbook:` section of the settings: what marketing does, for whom, and how much of it.

Belongs here: what users can say about an action. Who is contacted in the end is decided in `core.application.audiences`.
"""

import datetime as dt
from collections.abc import Collection, Mapping

from pydantic import Field, field_validator, model_validator

from segmentation_assets.settings.own_segments import Name
from segmentation_assets.settings.section import Section, nearest, unknown_names
from segmentation_assets.vocabulary import Character

USUAL_CATEGORY, NEXT_CATEGORY = "usual_category", "next_category"
LISTED = "marketing"  # the list of actions that name none
HELD_OUT = 0.1
SegmentName = int | str
"""A segment by its id or its name."""


class Aim(Section):
    """Whom an action is for: customers who meet any of these."""

    characters: tuple[Character, ...] = Field((), description="Characters of segments.")
    segments: tuple[SegmentName, ...] = Field((), description="Segments, by name or id.")
    own_segments: tuple[str, ...] = Field((), description="Own segments, by name.")
    entered: tuple[SegmentName, ...] = Field(
        (), description="Segments or own segments (or characters) that the customer entered at this snapshot by own behaviour."
    )
    left: tuple[SegmentName, ...] = Field((), description="Likewise, that the customer left.")

    @model_validator(mode="after")
    def _someone_is_meant(self) -> "Aim":
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError(f"names nobody; give at least one of {', '.join(type(self).model_fields)}")
        return self


class Play(Section):
    """One action of the playbook."""

    action: str = Field(min_length=1, max_length=500, description="What marketing does.")
    aim: Aim | None = Field(None, alias="for", description="Whom it is for; may be left out if its key is a character.")
    channel: str = Field(min_length=1, max_length=100, description="Where it is done, such as e-mail or till receipt.")
    offer: str | None = Field(None, min_length=1, max_length=500, description="What the customer is offered, in words or as a code.")
    product: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description=f"`{USUAL_CATEGORY}`: the category on which the customer spends most; `{NEXT_CATEGORY}`: of those not bought, the one "
        "that customers who buy the same also buy; or any text, for all.",
    )
    cost: float = Field(0, ge=0, le=1e9, allow_inf_nan=False, description="Cost of a contact, in the source's currency.")
    expected_uplift: float | None = Field(
        None, gt=0, description="Expected gain, as a share of what a customer spends per window, at most 1: 0.05 is 5%. Empty: not known."
    )
    budget: float | None = Field(
        None, gt=0, le=1e12, allow_inf_nan=False, description="Most money for contacts from start to end; empty: no limit."
    )
    most_customers: int | None = Field(None, ge=1, description="Most customers treated at a time; empty: no limit.")
    starts: dt.date | None = Field(None, description="First day on which it is done; empty: at once.")
    ends: dt.date | None = Field(None, description="Last day on which it is done; empty: until it is removed.")
    priority: int | None = Field(None, ge=1, le=9, description="1 is done first; empty: its place by the money at stake among all actions.")
    list: str = Field(
        LISTED, min_length=1, max_length=60, description="Of the actions on one list, a customer is in at most one."
    )  # fmt: skip
    holdout: float = Field(
        HELD_OUT, ge=0, le=0.9, description="Share of its customers who are not contacted, so that its effect can be measured."
    )

    @field_validator("expected_uplift")
    @classmethod
    def _is_a_share(cls, uplift: float | None) -> float | None:
        if uplift is not None and uplift > 1:
            raise ValueError(f"is a share, and {uplift:g} is {uplift:.0%}; for {uplift:g}% write {uplift / 100:g}")
        return uplift

    @model_validator(mode="after")
    def _adds_up(self) -> "Play":
        if self.budget is not None and not self.cost:
            raise ValueError("budget: says nothing while a contact costs nothing; set cost, or limit most_customers instead")
        if self.starts and self.ends and self.ends < self.starts:
            raise ValueError(f"ends: {self.ends} is before it starts, {self.starts}")
        if not self.list.isprintable():
            raise ValueError("list: has invisible characters; use letters and digits")
        return self

    def runs(self, day: dt.date) -> bool:
        """Whether it is done on this day."""
        return (self.starts is None or self.starts <= day) and (self.ends is None or day <= self.ends)


Playbook = dict[Name, Play | None]
"""Key -> action; None: a shipped action that is not done."""

PLAYBOOK: Playbook = {
    Character.CHAMPIONS: Play(action="Thank them: early access and a personal reward, no discount", channel="e-mail", priority=3),
    Character.LOYAL: Play(action="Invite into the loyalty programme's next tier", channel="app", priority=4),
    Character.BIG_BASKETS: Play(action="Offer a reason to come more often: a weekly bundle", channel="e-mail", priority=4),
    Character.NEW: Play(action="Welcome series with a second-purchase offer", channel="e-mail", priority=2),
    Character.PROMISING: Play(
        action="Show that it is seen: recommend the next category to try", channel="app", product=NEXT_CATEGORY, priority=4
    ),
    Character.STEADY: Play(action="Keep in the regular newsletter; test cross-sell", channel="newsletter", priority=7),
    Character.SLIPPING: Play(
        action="Remind before the habit breaks: coupon on their usual products", channel="e-mail", product=USUAL_CATEGORY, priority=2
    ),
    Character.AT_RISK: Play(action="Win back now with a personal offer and ask why they left", channel="direct mail", priority=1),
    Character.DORMANT: Play(action="One low-cost reactivation, then stop spending on them", channel="e-mail", priority=6),
    Character.OCCASIONAL: Play(action="Seasonal reminder with a small-basket offer", channel="newsletter", priority=7),
    Character.PAUSING: Play(action="Ask them back with what they usually buy", channel="e-mail", product=USUAL_CATEGORY, priority=3),
    Character.RECENT: Play(action="Recommend the next category to try", channel="app", product=NEXT_CATEGORY, priority=5),
    Character.QUIET: Play(action="Say what is new since they last came", channel="e-mail", priority=6),
    Character.DESCRIBED: Play(
        action="Address them by what marks them out; their orders are not known",
        channel="newsletter",
        priority=5,
    ),
    Character.LAPSED: Play(action="Win-back campaign at low cost; honour opt-outs", channel="e-mail", priority=8),
    Character.RETURNED: Play(action="Ask what was wrong; no promotion until that is mended", channel="e-mail", priority=6),
    Character.PROSPECT: Play(action="First-purchase offer", channel="direct mail", priority=5),
    Character.FORMER: Play(action="No campaign: they have left; ask why only if they agreed to be asked", channel="none", priority=9),
}


def aim_of(key: str, play: Play) -> Aim:
    """Whom an action is for; by its key if it does not say."""
    return play.aim or Aim(characters=(Character(key),))


def problems(playbook: Mapping[str, Play | None], own_segments: Collection[str]) -> list[str]:
    """A sentence on each action that is for nobody, or for an own segment that is not set."""
    found = []
    for key, play in playbook.items():
        if key not in list(Character) and (play is None or play.aim is None):
            what = "is for nobody" if play else "is none of the shipped actions, so it cannot be turned off"
            found.append(
                f"playbook.{key}: {what}.{nearest(key, list(Character))} Say whom with `for`, such as `for: {{segments: [Champions]}}`, or "
                f"name it after a character: {', '.join(Character)}."
            )
        elif play is not None and play.aim is not None:
            found += unknown_names(f"playbook.{key}.for.own_segments", play.aim.own_segments, own_segments, "an own segment")
    return found
