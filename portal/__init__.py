"""The image portal: pictures for inventory and invoice systems."""
