"""What alerting decides, pure: which routes take an event, who is on call, by which ways, when; what a flood is."""

from core.erp.alerting.rules.events import EVENTS, TITLES, Severity

WORDS = {
    "alert_do": tuple(EVENTS),
    "alert_severity": tuple(Severity),
    "alert_subject": ("told", "repeated", "all_clear", "all_clears", "summary"),
    "alert_title": TITLES,
}
