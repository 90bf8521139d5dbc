"""Start the API."""

import sys

import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError

if __name__ == "__main__":
    try:
        from app.settings import settings
    except SettingsError as error:
        sys.exit(f"{error}. Correct the variable, then start again.")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        sys.exit(
            f"{str(first['loc'][0]).upper()}={first['input']}: {first['msg']}. Correct the variable, then start again."
        )
    uvicorn.run(
        "app.main:app",
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        access_log=settings.log_level == "debug",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
