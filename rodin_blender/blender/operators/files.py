# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do with a task's files: download, import, delete. They return at once, but for an import."""

from dataclasses import replace

import bpy

from ... import handlers
from ...configuration import FIELDS
from ...service import keys
from ...service.errors import BadInput
from ...service.files import Progress, models
from ...storage import paths
from ...tasks.task import Status, Task
from ...texts.text import Text
from ...tracking.downloads import WAITING
from .. import hand_off, importing, previews
from ..app import app
from ..layouts import paragraph
from ..scene import blockouts, catalogs, in_scene, model_imports, placement, variations
from ..settings import field_properties
from ..settings.folders import blend_folder
from ..voice import say
from .base import NO_MODEL, OfTask, check_accepted, text_property


def check_downloadable(task: Task, task_uuid: str) -> None:
    """Raises BadInput for a task whose files cannot be asked for."""
    check_accepted(task)
    if task.status is Status.FAILED:
        raise BadInput(Text("'{name}' failed, so there is nothing to download.", name=task.name))
    if not task_uuid:
        text = "The download of '{name}' needs its task uuid. {where}"
        raise BadInput(Text(text, name=task.name, where=Text(keys.WHERE_THE_UUID_IS)))


class RODIN_OT_hand_off(OfTask, bpy.types.Operator):
    """Download the model of this task"""

    bl_idname = "rodin.hand_off"
    bl_label = "Download Rodin Model"

    task_uuid: text_property("Task UUID", 'The "uuid" in the answer that came back when the task was started')

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        if app().settings.value("import_after_download"):
            text = "Download the files of this task, then import its model into the scene as Import Settings say"
            return say(Text(text))
        return say(Text("Download the files of this task. Import then brings its model into the scene"))

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        if task.task_uuid or task.status is Status.FAILED or not task.status.submitted:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=420, title="Task UUID", confirm_text="Download")

    def draw(self, context: bpy.types.Context) -> None:
        text = "The download needs the task's uuid, which the subscription key does not tell. {where}"
        said = Text(text, where=Text(keys.WHERE_THE_UUID_IS))
        paragraph(self.layout, said, 420 * context.preferences.system.ui_scale)
        self.layout.activate_init = True
        self.layout.prop(self, "task_uuid")

    def act(self, context: bpy.types.Context, task: Task) -> None:
        uuid = keys.task_uuid(self.task_uuid)
        check_downloadable(task, uuid or task.task_uuid)
        if uuid and uuid != task.task_uuid:
            app().session.files.hand_offs[task.task_id] = uuid
            app().tracker().change(task.task_id, lambda stored: replace(stored, task_uuid=uuid))
        else:
            hand_off.call(task.task_id)


class RODIN_OT_download(OfTask, bpy.types.Operator):
    """Save the files of this task into a folder of its own, and import the model if the settings say so"""

    bl_idname = "rodin.download"
    bl_label = "Download Rodin Files"

    directory: text_property("Directory", "Where the task's folder is made; the one of the preferences when empty")
    import_model: bpy.props.BoolProperty(
        name="Import",
        description="Import the model when the files are there; as the preferences say unless given",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    def act(self, context: bpy.types.Context, task: Task) -> None:
        session = app().session
        if task.task_id in session.files.downloads:
            raise BadInput(Text("'{name}' is being downloaded already.", name=task.name))
        check_downloadable(task, task.task_uuid)
        given_folder = self.directory and paths.absolute(self.directory, blend_folder(), shares=False)
        parent = given_folder or app().settings.download_folder()
        given = self.properties.is_property_set("import_model")
        # The files of an unfinished task are not yet the model that the user asked for.
        if self.import_model if given else app().settings.value("import_after_download") and task.status.has_files:
            request = replace(model_imports.requested_in(context.window), after_download=True)
            session.imports.add(task.task_id, request)
        # The download is shown and can be cancelled from now on; the tracker always sends a `DownloadEnded`.
        session.files.downloads[task.task_id] = Progress(waiting=WAITING)
        session.needs_redraw = True
        app().tracker().download(task.task_id, parent)


class RODIN_OT_cancel_download(OfTask, bpy.types.Operator):
    """Stop downloading this task, or waiting to import it. What has arrived is kept for the next time"""

    bl_idname = "rodin.cancel_download"
    bl_label = "Cancel Rodin Download"

    def act(self, context: bpy.types.Context, task: Task) -> None:
        session = app().session
        was_requested = session.imports.cancel(task.task_id)
        if task.task_id in session.files.downloads:
            app().tracker().cancel_download(task.task_id)
        elif not was_requested:
            raise BadInput(Text("'{name}' is not being downloaded, so there is nothing to cancel.", name=task.name))


_OF_SETTINGS = ("height", "as_asset", "collection", "join", "merge_distance", "textures")
"""Properties of an import that are as the settings say unless given."""


class RODIN_OT_import_model(OfTask, bpy.types.Operator):
    """Bring the downloaded model of this task into the scene, in a collection of its own"""

    bl_idname = "rodin.import_model"
    bl_label = "Import Rodin Model"
    bl_options = {"REGISTER", "UNDO"}

    model: text_property("Model", "The file's name; the best model when empty")
    location: bpy.props.EnumProperty(
        name="Location",
        items=(*field_properties.items(FIELDS["import_location"]), placement.LOCATION),
        options={"SKIP_SAVE"},
    )
    height: bpy.props.FloatProperty(
        name="Height",
        description="Scale the model to this height; 0 leaves it as it is",
        min=0.0,
        soft_max=100.0,
        subtype="DISTANCE",
        options={"SKIP_SAVE"},
    )
    as_asset: bpy.props.BoolProperty(name="Mark as Asset", options={"SKIP_SAVE"})
    linked: bpy.props.BoolProperty(
        name="Linked Duplicate",
        description="Share the meshes of the task's model that was imported before, if it was in the same way",
        default=True,
        options={"SKIP_SAVE"},
    )
    collection: bpy.props.EnumProperty(
        name="Collection", items=field_properties.items(FIELDS["import_collection"]), options={"SKIP_SAVE"}
    )
    join: bpy.props.BoolProperty(
        name="Join Parts", description="Make one mesh of the model's parts", options={"SKIP_SAVE"}
    )
    merge_distance: bpy.props.FloatProperty(
        name="Merge by Distance",
        description="Merge vertices that are no farther apart; 0 merges none",
        min=0.0,
        soft_max=0.01,
        precision=5,
        subtype="DISTANCE",
        options={"SKIP_SAVE"},
    )
    textures: bpy.props.EnumProperty(
        name="Textures", items=field_properties.items(FIELDS["import_textures"]), options={"SKIP_SAVE"}
    )
    any_size: bpy.props.BoolProperty(
        name="Any Size",
        description="Also where it has more triangles than the settings allow without a question",
        options={"SKIP_SAVE", "HIDDEN"},
    )
    at: bpy.props.FloatVectorProperty(
        name="Place",
        description="Where the 3D cursor was when the model was wished; where it is now unless given",
        subtype="TRANSLATION",
        options={"SKIP_SAVE", "HIDDEN"},
    )
    select: bpy.props.BoolProperty(
        name="Select", description="Make it the selection", default=True, options={"SKIP_SAVE", "HIDDEN"}
    )

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        """The file is seen to first, off the main thread, and other modes are waited for."""
        if self.any_size and task.task_id in app().session.imports.unconfirmed:
            model_imports.confirm(task.task_id)
            return {"CANCELLED"}
        if not models(task.files) and task.status.has_files:
            hand_off.call(task.task_id, import_model=True)
            return {"CANCELLED"}
        names = ("model", "location", "linked", "any_size", *_OF_SETTINGS)
        how = {name: getattr(self, name) for name in names if self.properties.is_property_set(name)}
        model_imports.request_import(task.task_id, context.window, **how)
        # The operator does not return FINISHED, which would make an empty step of undo.
        return {"CANCELLED"}

    def act(self, context: bpy.types.Context, task: Task) -> None:
        session = app().session
        found = [file.name for file in models(task.files)]
        if not found or (self.model and self.model not in found):
            if self.model:
                text = "'{name}' has no file '{file}' that can be imported: download it first."
                raise BadInput(Text(text, name=task.name, file=self.model))
            raise BadInput(Text(NO_MODEL, name=task.name))
        chosen = self.properties.is_property_set("location")
        for name in ("location", *_OF_SETTINGS):
            # The properties are set so that Adjust Last Operation shows the values that were used.
            if not self.properties.is_property_set(name):
                value = app().settings.value(f"import_{name}")
                if name in ("height", "merge_distance"):
                    # The setting holds for all files, whose units differ: it is in meters.
                    value = float(value) * importing.units_of_a_meter(context.scene)
                setattr(self, name, value)
        wanted = blockouts.current_placement(task, context)
        if wanted and not chosen and (wanted.box or self.location == "CURSOR"):
            self.location = placement.LOCATION[0]
        at_placement = wanted if self.location == placement.LOCATION[0] else None
        # Variations are told apart, and moved, by their collections.
        own = self.collection == "OWN" or len(variations.family(task)) > 1
        self.model = self.model or found[0]
        if not self.properties.is_property_set("at"):
            # The place is set so that the model stays there when something else is adjusted.
            self.at = context.scene.cursor.location
        at = self.at if self.location != "ORIGIN" else None
        imported = importing.import_file(
            f"{task.folder}/{self.model}",
            name=app().settings.collection_name(task),
            task_uuid=task.task_uuid,
            at=at_placement.location if at_placement else at,
            box=at_placement.box if at_placement else None,
            height=self.height,
            as_asset=self.as_asset,
            preview=previews.path(task),
            description=task.prompt,
            companions=bool(app().settings.value("import_companions")),
            join=self.join,
            merge_distance=self.merge_distance,
            own_collection=own,
            linked=self.linked,
            select=self.select,
        )
        if at_placement:
            if own:
                variations.put_beside(task, imported.collection, context)
            blockouts.hide(task.task_id, context)
        told = Text(
            "A linked duplicate of the model is in the scene." if imported.linked else "The model is in the scene."
        )
        missing = ", ".join(f"'{keys.printable(name, 60)}'" for name in imported.missing[:3])
        if missing:
            text = "{told} It lacks what is not beside it: {missing}. Download brings what is missing."
            told = Text(text, told=told, missing=missing)
        if self.textures == "BESIDE" and imported.images and not model_imports.save_textures(task.task_id, imported):
            text = "{told} Its textures are packed into the .blend file, since that is not saved yet."
            told = Text(text, told=told)
        session.files.tell(task.task_id, told, trouble=bool(missing))
        if self.as_asset:
            catalogs.add_catalog()
        in_scene.scan()
        app().hooks.call(handlers.import_done, task, imported.collection.session_uid)


class RODIN_OT_delete_files(OfTask, bpy.types.Operator):
    """Delete the downloaded files of this task from the disk. Models in scenes stay as they are"""

    bl_idname = "rodin.delete_files"
    bl_label = "Delete Rodin Files"

    def begin(self, context: bpy.types.Context, event: bpy.types.Event, task: Task) -> set[str]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=say(Text("Delete {size:size} of '{name}'?", size=task.size, name=task.name)),
            message="Models in your scenes stay. The service keeps files for 7 days: later there is no new download.",
            confirm_text="Delete",
            icon="WARNING",
        )

    def act(self, context: bpy.types.Context, task: Task) -> None:
        if not task.folder:
            raise BadInput(Text("'{name}' has no files on the disk.", name=task.name))
        app().tracker().delete_files(task.task_id)


CLASSES = (
    RODIN_OT_hand_off,
    RODIN_OT_download,
    RODIN_OT_cancel_download,
    RODIN_OT_import_model,
    RODIN_OT_delete_files,
)
