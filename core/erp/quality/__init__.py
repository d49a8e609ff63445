"""Quality: excursions, dispositions, batch release, deviations, zone alarms."""
