# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can do about a trouble, as data: the panel words it as a press, the command line as a command."""

from __future__ import annotations

import enum


class Action(enum.StrEnum):
    """The values are stored in the list of tasks: one that is taken away is shown no more."""

    # What a button or a command of ours does.
    CHECK_NOW = "check_now"
    RESUME = "resume"
    DOWNLOAD = "download"
    DOWNLOAD_LATER = "download_later"
    ENTER_UUID = "enter_uuid"
    FIND_UUID = "find_uuid"
    GIVE_ANSWER = "give_answer"
    OPEN_FOLDER = "open_folder"
    SEND_NOW = "send_now"
    SEND_AGAIN = "send_again"
    SETTLE = "settle"
    DISCARD = "discard"
    TRY_AGAIN = "try_again"
    RESTART = "restart"
    # What is set.
    GIVE_KEY = "give_key"
    ENTER_KEY = "enter_key"
    SET_ADDRESS = "set_address"
    SET_FOLDER = "set_folder"
    SET_DEADLINE = "set_deadline"
    ALLOW_ONLINE = "allow_online"
    UPDATE = "update"
    # What is done elsewhere.
    FREE_SPACE = "free_space"
    ALLOW_WRITING = "allow_writing"
    CLOSE_BLENDERS = "close_blenders"
    CHECK_NETWORK = "check_network"
    CHECK_ADDRESS = "check_address"
    TELL_NETWORK = "tell_network"
    GET_CREDITS = "get_credits"
    SEE_PLAN = "see_plan"
    WRITE_SUPPORT = "write_support"
    # What is changed before it is sent once more.
    CHANGE_REQUEST = "change_request"
    OTHER_PICTURES = "other_pictures"
    SMALLER_PICTURES = "smaller_pictures"
    # What happens by itself.
    WAIT = "wait"
    WAIT_FOR_TASK = "wait_for_task"


WORDS: dict[Action, str] = {
    Action.CHECK_NOW: "Check it again now.",
    Action.RESUME: "Resume it to go on.",
    Action.DOWNLOAD: "Download it again.",
    Action.DOWNLOAD_LATER: "Download it again when it is finished.",
    Action.ENTER_UUID: "Enter the right task uuid.",
    Action.FIND_UUID: (
        'It is the "uuid", not one of the "uuids", in the answer that came back when the task was started.'
    ),
    Action.GIVE_ANSWER: (
        "Give the whole answer that came back when the task was started, or only the subscription key in it."
    ),
    Action.OPEN_FOLDER: "Its folder shows what there is.",
    Action.SEND_NOW: "Send it now, or discard it.",
    Action.SEND_AGAIN: "Then send it again.",
    Action.SETTLE: "It is never sent again automatically: choose what to do.",
    Action.DISCARD: "Discard it, and make it anew.",
    Action.TRY_AGAIN: "Try it again.",
    Action.RESTART: "Start the program again.",
    Action.GIVE_KEY: "",
    Action.ENTER_KEY: "Enter another API key.",
    Action.SET_ADDRESS: "Set another service address.",
    Action.SET_FOLDER: "Set another download folder.",
    Action.SET_DEADLINE: "The longest time can be set.",
    Action.ALLOW_ONLINE: "Allow it in Preferences > System > Network.",
    Action.UPDATE: "Update the extension in this Blender.",
    Action.FREE_SPACE: "Free some space.",
    Action.ALLOW_WRITING: "Allow writing there.",
    Action.CLOSE_BLENDERS: "Close other Blenders if this stays.",
    Action.CHECK_NETWORK: "Check the network connection.",
    Action.TELL_NETWORK: "If this stays, tell whoever looks after the network.",
    Action.CHECK_ADDRESS: "Check the service address, and your proxy.",
    Action.GET_CREDITS: "Get credits at hyper3d.ai.",
    Action.SEE_PLAN: "See your plan at hyper3d.ai.",
    Action.WRITE_SUPPORT: "If it stays so, write to the service's support.",
    Action.CHANGE_REQUEST: "Change an option or a picture.",
    Action.OTHER_PICTURES: "Use other pictures or other words.",
    Action.SMALLER_PICTURES: "The pictures may be too large for a proxy on the way: use smaller ones.",
    Action.WAIT: "It is tried again automatically.",
    Action.WAIT_FOR_TASK: "It is sent automatically when one of them has ended.",
}
"""For no front end in particular. Each has its own words for those that are a button's or a command's matter."""
