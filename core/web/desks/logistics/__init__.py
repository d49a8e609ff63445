"""What travels and what is made next: a shipment's page, recorders' files, the work centres' lists."""
