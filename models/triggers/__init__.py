"""One file per type of trigger."""
