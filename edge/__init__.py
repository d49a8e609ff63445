"""The gateway process: reads machines, keeps what they say, and delivers it to the core."""
