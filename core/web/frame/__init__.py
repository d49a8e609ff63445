"""What every page stands on: who asks, templates and words, the way of a form, navigation, files of our own."""
