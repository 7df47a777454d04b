"""Where Piccolo's own commands find the engine and the app; `portal` itself needs neither variable nor folder."""

from piccolo.conf.apps import AppRegistry

from portal.database import DB

__all__ = ["APP_REGISTRY", "DB"]

APP_REGISTRY = AppRegistry(apps=["portal.piccolo_app"])
