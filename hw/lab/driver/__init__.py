"""What runs on the host: builds the guest, boots it, judges what experiments leave, prints it."""
