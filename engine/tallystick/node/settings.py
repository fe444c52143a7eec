"""All settings of a node, read in one place: flags over environment (TALLY_…) over a TOML file."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any

from pydantic import ByteSize, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tallystick.core.invitations import read_invitation
from tallystick.core.limits import Limits

DEFAULT_LISTEN = "127.0.0.1:7411"
REGION = r"^[A-Za-z0-9._-]{1,32}$"


class Settings(BaseSettings):
    """How one node runs. Sizes take units ("64GiB"), times are milliseconds."""

    model_config = SettingsConfigDict(
        env_prefix="TALLY_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data: Path
    """The data directory: one node, one incarnation."""
    listen: str = DEFAULT_LISTEN
    """host:port to serve on; port 0 takes a free one."""
    region: str = Field(default="default", pattern=REGION)
    """A label; several nodes may share it. Fixed when the data directory is created."""
    new_cluster: bool = False
    """Found a cluster if the directory is empty."""
    join: str = ""
    """host:port of any member: join its cluster if the directory is empty. Needs `invitation`."""
    invitation: str = ""
    """The code that a member gave (tally cluster invite)."""
    advertise: str = ""
    """host:port that this node tells others to reach it at. Unset: where it listens."""
    routes: dict[str, str] = {}
    """Region → host:port to dial its nodes at, whatever they advertise: a relay, a tunnel."""
    rebalance: str = Field(default="demand", pattern="^(off|even|weighted|demand)$")
    """Where free tokens go by themselves: nowhere, to all alike, by `weights`, where they are asked for."""
    weights: dict[str, int] = {}
    """Region → weight, for `weighted`; 1 if unset."""
    insecure: bool = False
    """Serve plaintext beyond loopback."""
    map_size: ByteSize = ByteSize(64 << 30)
    """How far the database may grow; sparse."""
    reserve: ByteSize | None = None
    """Callers' writes are refused below this much room. Unset: min(256 MiB, 5% of the file system)."""
    calls_max: Annotated[int, Field(gt=0, le=1_000)] = 1_000
    """Calls in flight; beyond it RESOURCE_EXHAUSTED."""
    request_bytes_max: Annotated[int, Field(gt=0, le=1 << 20)] = 1 << 20
    window_lines: Annotated[int, Field(ge=2_000, le=100_000)] = 20_000
    """Order lines that one PlaceOrders stream may have under way."""
    commit_events_max: Annotated[int, Field(gt=0, le=8_192)] = 2_048
    """Events in one commit at most."""
    backlog_events: Annotated[int, Field(ge=1_000, le=100_000)] = 100_000
    """Events whose indexes may wait in memory for a checkpoint."""
    sweep_interval_ms: Annotated[int, Field(ge=10, le=60_000)] = 250
    """How often expired holds are looked for."""
    grace_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    """How long a graceful stop waits for calls under way."""
    limits: Limits = Limits()
    """What one request may ask for; each may be set lower (TALLY_LIMITS__LINES_MAX=500)."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError("must be host:port, for example 127.0.0.1:7411")
        return value

    @field_validator("invitation")
    @classmethod
    def _an_invitation(cls, value: str) -> str:
        if value:
            read_invitation(value)
        return value

    @model_validator(mode="after")
    def _joins_with_an_invitation(self) -> Settings:
        if bool(self.join) != bool(self.invitation):
            raise ValueError("--join and --invitation go together: ask a member, tally cluster invite")
        if self.join and self.new_cluster:
            raise ValueError("--join and --new-cluster are two ways to begin: choose one")
        return self

    @model_validator(mode="after")
    def _plaintext_stays_home(self) -> Settings:
        if not self.insecure and not _is_loopback(self.listen.rpartition(":")[0]):
            raise ValueError(
                f"{self.listen} is not loopback, and this version serves plaintext only: "
                "listen on 127.0.0.1, or pass --insecure inside a network that you trust"
            )
        return self

    @classmethod
    def load(cls, config: Path | None = None, **flags: Any) -> Settings:
        """Merge flags (None: not given), environment and the TOML file. Raises pydantic.ValidationError."""
        given = {name: value for name, value in flags.items() if value is not None}
        if config is None:
            return cls(**given)

        class WithFile(cls):  # type: ignore[valid-type, misc]
            """The same settings with one more source, the weakest."""

            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config)

        return WithFile(**given)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
