"""A job made from a release. Pure."""

from flynn.core import keys, model


def job_of(release: model.Release, type: str, queue: model.Queue, id: str, now: float) -> model.Job:
    """A job that runs one process of `type` of a release."""
    process = release.processes[type]
    return model.Job(
        id=id,
        app=release.app,
        type=type,
        queue=queue,
        command=process.command,
        created=now,
        release=release.version,
        env=release.env,
        layers={} if release.artifact.image else {"app": release.artifact.sha256},
        under=tuple(release.artifact.layers.values()),
        image=release.artifact.image,
        image_blob=release.artifact.sha256 if release.artifact.image else "",
        service=keys.service(release.app, type) if process.serves else "",
        memory=process.memory,
        memory_limit=process.memory_limit,
        cpu_reserve=process.cpu_reserve,
        cpu=process.cpu,
        pids=process.pids,
        files=process.files,
        check=process.check,
        stop_signal=process.stop_signal,
        stop_timeout=process.stop_timeout,
        mounts=process.mounts,
        network=process.network,
        backend=process.backend,
    )
