"""What was done, as people say it: one place for the history of a picture, the audit's page and its CSV."""

from __future__ import annotations

from typing import Final

SAID: Final = {
    "image.add": "added {it}",
    "image.describe": "changed {it}",
    "image.primary": "made {it} primary",
    "image.trash": "moved {it} to the trash",
    "image.restore": "restored {it}",
    "image.delete": "deleted {it}",
    "image.retry": "tried {it} again",
    "image.move": "moved {it} to another gallery",
    "image.copy": "copied {it} from another gallery",
    "image.replace": "replaced the file of {it}",
    "image.drop_version": "dropped the oldest version of {it}",
    "image.restore_version": "brought back a version of {it}",
    "image.reorder": "put the pictures of {it} in another order",
    "image.rerender": "rendered {it} again",
    "entity.add": "added {it}",
    "entity.change": "changed {it}",
    "entity.delete": "deleted {it}",
    "invoice.pin": "pinned {it}",
    "invoice.unpin": "unpinned {it}",
    "embed.add": "made an embed key for {it}",
    "embed.revoke": "revoked the embed key for {it}",
    "view.add": "kept {it}",
    "view.change": "changed {it}",
    "view.delete": "deleted {it}",
    "user.add": "invited {it}",
    "user.set_password": "set the password of {it}",
    "user.reset": "reset the password of {it}",
    "user.disable": "disabled {it}",
    "user.enable": "let {it} in again",
    "user.end_sessions": "ended the sessions of {it}",
    "user.prefer": "chose how the portal looks to {it}",
    "user.change_role": "changed the role of {it}",
    "session.start": "signed in",
    "session.refuse": "was refused at signing in",
    "session.end": "signed out",
    "session.confirm": "gave the password again",
    "token.add": "made the token {it}",
    "token.revoke": "revoked the token {it}",
    "maintenance.cleanup": "cleaned up {it}",
    "job.start": "started {it}",
    "job.cancel": "cancelled {it}",
    "job.retry": "started {it} again",
    "job.pause": "paused {it}",
    "job.resume": "let {it} go on",
    "schedule.run": "started {it} out of turn",
    "rerender.start": "had pictures rendered again by {it}",
    "preset.change": "changed the size {it}",
    "preset.cancel": "took back the change of the size {it}",
    "preset.catch_up": "had pictures brought up to the sizes by {it}",
    "repair.quarantine": "put {it} into quarantine",
    "repair.undo": "put {it} back from quarantine",
    "repair.rerender": "repaired {it}: rendered it again",
    "repair.relink": "repaired {it}: found its bytes elsewhere",
    "repair.heal": "repaired {it}: healed it from a backup",
    "repair.adopt": "repaired {it}: adopted it as a picture",
    "repair.trash": "repaired {it}: moved it to the trash",
    "repair.order": "repaired the order of {it}",
    "repair.primary": "repaired {it}: chose a primary picture",
    "repair.queue": "repaired {it}: queued it again",
    "repair.recount": "repaired {it}: counted again",
    "folder.export": "exported pictures to the folder {it}",
    "folder.import": "imported pictures from the folder {it}",
    "backup.create": "made the backup {it}",
    "backup.restore": "restored {it}",
    "backup.prune": "removed old backups",
    "backup.remove": "removed the backup {it}",
    "backup.bring_in": "brought in the backup {it}",
    "backup.drill": "had {it} proven by a restore into scratch",
    "alert.test": "sent a test alert",
    "audit.erase": "erased a person, who is {it} now",
    "audit.prune": "removed lines of the audit past their days",
    "audit.export": "downloaded the audit",
    "audit.sign": "signed the audit's newest seal anew",
    "denied": "was refused {it}",
}
# On the page of the thing itself, where what it is about goes without saying.
OF_ITSELF: Final = {
    "image.describe": "changed",
    "image.replace": "replaced the file",
    "image.drop_version": "dropped its oldest version",
    "image.restore_version": "brought back",
}
FIELDS: Final = {
    "alt_text": "alt text",
    "caption": "caption",
    "tags": "tags",
    "decorative": "decorative",
    "focal_x": "focal point",
    "focal_y": "focal point",
    "edits": "crop and turns",
    "attributes": "attributes",
}


def said(action: str, it: str) -> str:
    """`said("image.trash", "it")` is "moved it to the trash"; what has no words yet is said by its code."""
    return SAID.get(action, f"{action.replace('.', ' ').replace('_', ' ')} {{it}}").replace("{it}", it)


def said_of_itself(action: str) -> str:
    """ "moved it to the trash" """
    return OF_ITSELF.get(action) or said(action, "it")


def title_of(action: str) -> str:
    """For a list to choose from: "Moved … to the trash"."""
    words = said(action, "…").removesuffix(" …")
    return words[:1].upper() + words[1:]


def field_of(name: str) -> str:
    return FIELDS.get(name, name.replace("_", " "))


def who(actor: str) -> str:
    """An actor's stored name (`user:ana@example.com`) as people say it."""
    kind, _, name = actor.partition(":")
    if name:
        return {"user": name, "token": f"the script {name}"}.get(kind, "The portal")
    if actor == "visitor":
        return "A visitor"
    return f"Somebody erased ({actor})" if actor.startswith("erased-") else "The portal"
