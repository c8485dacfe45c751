"""The `playbook:` section of the settings: a suggested action for each character of segment."""

from pydantic import Field

from segmentation_assets.settings.section import Section
from segmentation_assets.vocabulary import Character


class Play(Section):
    """One line of the playbook: what to do for a segment of this character."""

    action: str = Field(min_length=1, description="What marketing does.")
    channel: str = Field(min_length=1, description="Where it is done, such as e-mail or till receipt.")
    priority: int = Field(ge=1, le=9, description="1 is done first.")


PLAYBOOK: dict[Character, Play] = {
    Character.CHAMPIONS: Play(action="Thank them: early access and a personal reward, no discount", channel="e-mail", priority=3),
    Character.LOYAL: Play(action="Invite into the loyalty programme's next tier", channel="app", priority=4),
    Character.BIG_BASKETS: Play(action="Offer a reason to come more often: a weekly bundle", channel="e-mail", priority=4),
    Character.NEW: Play(action="Welcome series with a second-purchase offer", channel="e-mail", priority=2),
    Character.PROMISING: Play(action="Show that it is seen: recommend the next category to try", channel="app", priority=4),
    Character.STEADY: Play(action="Keep in the regular newsletter; test cross-sell", channel="newsletter", priority=7),
    Character.SLIPPING: Play(action="Remind before the habit breaks: coupon on their usual products", channel="e-mail", priority=2),
    Character.AT_RISK: Play(action="Win back now with a personal offer and ask why they left", channel="direct mail", priority=1),
    Character.DORMANT: Play(action="One low-cost reactivation, then stop spending on them", channel="e-mail", priority=6),
    Character.OCCASIONAL: Play(action="Seasonal reminder with a small-basket offer", channel="newsletter", priority=7),
    Character.PAUSING: Play(action="Ask them back with what they usually buy", channel="e-mail", priority=3),
    Character.RECENT: Play(action="Recommend the next category to try", channel="app", priority=5),
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
