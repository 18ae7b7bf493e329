"""What the command lines of Docker and Podman share."""

import json

from .enclosure import command, wait_for


class Engine:
    """Calling it runs the client: `engine("run", "--rm", IMAGE, "true")`. A subclass sets `environment` and says `argv`."""

    environment = None

    def argv(self, *args):
        """The command that runs the client with `args`."""
        raise NotImplementedError

    def __call__(self, *args, **kw):
        return command(self.argv(*args), env=self.environment, **kw)

    def run(self, *args, **kw):
        """`run --rm ARGS…`, to its end."""
        return self("run", "--rm", *args, **kw)

    def detached(self, *args):
        """`run --detach ARGS…`; returns the id."""
        return self("run", "--detach", *args).ok().out.strip()

    def inspect(self, name, path):
        """One value of `inspect`: `engine.inspect(id, "State.Pid")`."""
        value = json.loads(self("inspect", name).ok().out)[0]
        for key in path.split("."):
            value = value[key]
        return value

    def wait_for(self, name, path, value, timeout=15):
        wait_for(lambda: self.inspect(name, path) == value, f"{name}: {path} = {value}", timeout)

    def wait_for_log(self, name, text, timeout=10):
        def shown():
            logs = self("logs", name).ok()
            return text in logs.out + logs.err

        wait_for(shown, f"{name}: {text!r} in the logs", timeout)
