"""Launch buttons and links to the repository that the book is built from."""

import os
import re
import subprocess

BUTTONS = (
    "use_repository_button", "use_source_button", "use_edit_page_button",
    "use_issues_button")


def git(folder, *arguments):
    """Return what a git command prints, or "" where it fails."""
    try:
        return subprocess.run(
            ["git", "-C", folder, *arguments], check=True, text=True,
            capture_output=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def repository_url(folder):
    """Return the https address of the book's repository, or "".

    BOOK_REPO_URL decides where it is set, an empty one for no links at all;
    otherwise the git remote "origin". Names and tokens in it are dropped.
    """
    remote = os.environ.get("BOOK_REPO_URL")
    if remote is None:
        remote = git(folder, "remote", "get-url", "origin")
    found = re.match(
        r"(?:https?://|ssh://|git@)(?:[^@/]*@)?([\w.-]+\.[a-z]+)[:/](.+?)"
        r"(?:\.git)?/?$", remote)
    return f"https://{found[1]}/{found[2]}" if found else ""


def pages_url(repository):
    """Return where GitHub Pages publishes a GitHub repository, or ""."""
    found = re.match(r"https://github\.com/([^/]+)/([^/]+)$", repository)
    if not found:
        return ""
    home = f"{found[1].lower()}.github.io"
    return f"https://{home}/" + (
        "" if found[2].lower() == home else f"{found[2]}/")


def set_links(app, config):
    """Fill in the theme's options, or empty them where there is no URL."""
    url = repository_url(app.srcdir)
    options = config.html_theme_options
    options["repository_url"] = url
    options["repository_branch"] = (
        git(app.srcdir, "branch", "--show-current") or "main")
    # The theme joins this to the path of the page below the top level.
    options["path_to_docs"] = ""
    options["launch_buttons"] = {}
    config.html_baseurl = os.environ.get("BOOK_SITE_URL") or pages_url(url)
    # Colab opens notebooks from GitHub alone.
    if url.startswith("https://github.com/"):
        options["launch_buttons"]["colab_url"] = (
            "https://colab.research.google.com")
    # The theme makes a link for nbgitpuller from the hub's address.
    hub = os.environ.get("BOOK_JUPYTERHUB_URL")
    if url and hub:
        options["launch_buttons"]["jupyterhub_url"] = hub
    if options["launch_buttons"]:
        options["launch_buttons"]["notebook_interface"] = "jupyterlab"
    for button in BUTTONS:
        options[button] = False
    options["use_repository_button"] = bool(url)


def setup(app):
    """Register with Sphinx, before the theme reads its options."""
    app.connect("config-inited", set_links, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
