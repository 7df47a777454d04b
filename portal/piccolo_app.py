"""Piccolo's view of the portal: its tables and where the migrations are."""

from piccolo.conf.apps import AppConfig

from portal.environment import CHECKOUT
from portal.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="portal",
    migrations_folder_path=str(CHECKOUT / "migrations"),
    table_classes=TABLES,
)
