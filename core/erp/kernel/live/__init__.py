"""What has changed, told to open pages: ids only, within a second of the commit, never by who posts."""
