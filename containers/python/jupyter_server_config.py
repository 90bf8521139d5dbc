"""JupyterLab: a door for this machine's browser only, quiet, and nothing looked up on the internet."""

import os
from pathlib import Path

c = get_config()  # noqa: F821

c.ServerApp.ip = os.environ["HOST"]
c.ServerApp.port = int(os.environ["PORT"])
c.ServerApp.port_retries = 0
c.ServerApp.base_url = os.environ.get("JUPYTER_BASE_URL", "/")
c.ServerApp.root_dir = os.environ["NOTEBOOKS_DIR"]
c.ServerApp.open_browser = False
c.ServerApp.quit_button = False
c.ServerApp.allow_root = True  # a clone that belongs to root; in a container that root has no power
c.Application.log_level = "DEBUG" if os.environ.get("LOG_LEVEL", "").lower() == "debug" else "ERROR"
c.FileContentsManager.delete_to_trash = False

# A web page in the user's browser is the attacker: a foreign Host is refused, and so is a foreign Origin by default.
c.IdentityProvider.token = os.environ.get("JUPYTER_TOKEN", "")
c.ServerApp.allow_remote_access = False
c.ServerApp.local_hostnames = ["localhost"]

# Kernels talk over sockets in a private folder: any user of the machine could join them over TCP.
c.KernelManager.transport = "ipc"

c.LabApp.app_settings_dir = str(Path(__file__).with_name("settings"))  # no question about news, either
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
