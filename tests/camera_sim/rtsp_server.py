"""The RTSP side: GStreamer's server, one pipeline per client, access, and dropped sessions.

Everything but RtspSink.send() and set_loss() runs on the GLib main loop, which also serves all
clients: `on_main_loop` brings other threads there.
"""

import random
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401

import playback as pb  # noqa: E402

_PAYLOADERS = {
    "h264": "rtph264pay",
    "h265": "rtph265pay",
    "mjpeg": "rtpjpegpay",
}
_ROLE = "viewer"
_STATUS = GstRtsp.RTSPStatusCode


def on_main_loop(function, *args):
    """Runs `function` on the main loop and waits for it."""
    done = threading.Event()

    def call():
        try:
            function(*args)
        finally:
            done.set()
        return GLib.SOURCE_REMOVE

    GLib.idle_add(call, priority=GLib.PRIORITY_HIGH)
    done.wait(10)


def _unclock(pipeline):
    """The pacer keeps time: clocked sinks would cost more and hold pictures after a jump."""
    sinks = pipeline.iterate_sinks()
    while True:
        result, sink = sinks.next()
        if result != Gst.IteratorResult.OK:
            return
        if sink.find_property("sync"):
            sink.set_property("sync", False)


class RtspSink:
    """Feeds one client's pipeline."""

    def __init__(self, media, fault):
        self.media = media
        bin_ = media.get_element()
        self._source = bin_.get_by_name("source")
        self._pay = bin_.get_by_name("pay0")
        self._loss = None
        self._probe_id = 0
        self.client = None
        if fault and fault.kind == "timestamp_wrap":
            before_wrap = int(fault.args["seconds"] * 90_000)
            self._pay.set_property("timestamp-offset", 2**32 - before_wrap)

    def begin(self, playback):
        """Gives the pipeline the first access unit as soon as it can take one."""
        self._source.set_caps(Gst.Caps.from_string(playback.clip.caps_any_size))

        def on_need_data(source, _):
            source.set_property("emit-signals", False)
            self.send(*playback.first(time.monotonic()))

        self._source.connect("need-data", on_need_data)

    def send(self, unit, dts, pts):
        if unit.template is None:
            unit.template = Gst.Buffer.new_wrapped(unit.data)
        # Shares the memory: only the times are this client's own.
        buffer = unit.template.copy_region(Gst.BufferCopyFlags.MEMORY, 0, len(unit.data))
        buffer.dts = round(dts * Gst.SECOND)
        buffer.pts = round(pts * Gst.SECOND)
        if not unit.is_key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        self._source.push_buffer(buffer)

    def set_loss(self, fault):
        pad = self._pay.get_static_pad("src")
        if self._probe_id:
            pad.remove_probe(self._probe_id)
            self._probe_id = 0
        if fault:
            rng = random.Random(fault.args["seed"])
            self._probe_id = pad.add_probe(
                Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self._lose,
                fault.args["share"], rng)

    @staticmethod
    def _lose(pad, info, share, rng):
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            packets = info.get_buffer_list()
            kept = [i for i in range(packets.length()) if rng.random() >= share]
            if len(kept) == packets.length():
                return Gst.PadProbeReturn.OK
            peer = pad.get_peer()
            for i in kept:
                peer.chain(packets.get(i))
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.DROP if rng.random() < share else Gst.PadProbeReturn.OK


class _Auth(GstRtspServer.RTSPAuth):
    """Passwords per camera: GStreamer's own knows only one table for the whole server."""

    def __init__(self, server):
        super().__init__()
        self.owner = server

    def do_check(self, context, check):
        # GStreamer asks for a password here only, once per DESCRIBE.
        camera = self.owner.camera_of(context)
        if check != "auth.check.media.factory.access" or camera is None:
            return True
        password = self.owner.password_of(camera)
        allowed = True
        if password is not None:
            self.owner.use_password(self, password)
            allowed = GstRtspServer.RTSPAuth.do_check(self, context, check)
        if not allowed:
            camera.saw_connect("unauthorized")
        return allowed


class RtspServer:
    """Serves `cameras` (name -> Camera) at /NAME. Start with attach(); port is then known."""

    def __init__(self, cameras, pacer, options):
        self._cameras = cameras
        self._pacer = pacer
        self._options = options
        self._user = options.user or "admin"
        self._password_in_use = None
        self._sinks = {}  # media -> (camera, playback, sink)
        self._clients = {}  # client -> name of the camera asked for last
        self._server = GstRtspServer.RTSPServer()
        self._server.set_address(options.address)
        self._server.set_service(str(options.port))
        pool = GstRtspServer.RTSPThreadPool()
        pool.set_max_threads(0)  # all clients on the main loop: signals need no lock
        self._server.set_thread_pool(pool)
        self._server.set_auth(self._make_auth())
        self._server.connect("client-connected", self._on_client)
        for camera in cameras.values():
            self._server.get_mount_points().add_factory(f"/{camera.name}", self._factory(camera))
        # Sessions of vanished UDP clients.
        GLib.timeout_add_seconds(2, self._clean_up)

    @property
    def port(self):
        return self._server.get_bound_port()

    def attach(self):
        if self._server.attach(None) == 0:
            raise RuntimeError(f"cannot listen on {self._options.address}:{self._options.port}")

    def drop_sessions(self, camera):
        """Closes the connections of everyone who asked for `camera`."""
        for client in [c for c, name in self._clients.items() if name == camera.name]:
            for session in client.session_filter(None, None) or []:
                self._server.get_session_pool().remove(session)
            client.close()

    # Access.

    def camera_of(self, context):
        if not context.uri:
            return None
        return self._cameras.get(context.uri.abspath.strip("/").split("/")[0])

    def password_of(self, camera):
        fault = camera.has_fault("auth")
        return fault.args["password"] if fault else self._options.password

    def use_password(self, auth, password):
        if password == self._password_in_use:
            return
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", _ROLE)
        if self._options.auth == "digest":
            auth.add_digest(self._user, password, token)
        else:
            if self._password_in_use is not None:
                auth.remove_basic(self._make_basic(self._password_in_use))
            auth.add_basic(self._make_basic(password), token)
        self._password_in_use = password

    def _make_basic(self, password):
        return GstRtspServer.RTSPAuth.make_basic(self._user, password)

    def _make_auth(self):
        auth = _Auth(self)
        auth.set_realm("camera_sim")
        method = GstRtsp.RTSPAuthMethod
        auth.set_supported_methods(
            method.DIGEST if self._options.auth == "digest" else method.BASIC)
        return auth

    # Clients.

    def _on_client(self, _, client):
        self._clients[client] = None
        client.connect("closed", self._on_closed)
        client.connect("pre-describe-request", self._before_describe)
        client.connect("describe-request", self._on_described)
        client.connect("pre-setup-request", self._before_setup)
        client.connect("play-request", self._on_play)
        client.connect("pause-request", self._on_pause)

    def _on_closed(self, client):
        self._clients.pop(client, None)
        for media, (_, playback, sink) in list(self._sinks.items()):
            if sink.client is client:
                self._forget(media, playback)

    def _before_describe(self, client, context):
        camera = self.camera_of(context)
        if camera is None:
            return _STATUS.OK
        self._clients[client] = camera.name
        status = self._refusal(client, camera)
        if status != _STATUS.OK:
            camera.saw_connect(f"refused {int(status)}")
        return status

    def _on_described(self, _, context):
        camera = self.camera_of(context)
        if camera and context.media:
            camera.saw_connect("ok")

    def _before_setup(self, client, context):
        camera = self.camera_of(context)
        return self._refusal(client, camera) if camera else _STATUS.OK

    @staticmethod
    def _refusal(client, camera):
        if camera.has_fault("not_found"):
            return _STATUS.NOT_FOUND
        fault = camera.has_fault("refuse")
        if not fault:
            return _STATUS.OK
        if fault.args["how"] == "close":
            GLib.idle_add(client.close, priority=GLib.PRIORITY_HIGH)
        return _STATUS.SERVICE_UNAVAILABLE

    def _on_play(self, client, context):
        known = self._sinks.get(context.media)
        if known:
            _, playback, sink = known
            _unclock(context.media.get_element().get_parent())
            sink.client = client
            self._pacer.start(playback)

    def _on_pause(self, _, context):
        known = self._sinks.get(context.media)
        if known:
            self._pacer.remove(known[1])

    # Media.

    def _factory(self, camera):
        factory = GstRtspServer.RTSPMediaFactory()
        pay = _PAYLOADERS[camera.clip.codec]
        # Bounded: a client that does not read loses pictures, not our memory.
        factory.set_launch(
            "( appsrc name=source format=time is-live=true max-bytes=16000000 max-time=0 "
            f"leaky-type=downstream ! {pay} name=pay0 pt=96 )")
        factory.set_shared(False)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role(_ROLE, "media.factory.access", True)
        permissions.add_permission_for_role(_ROLE, "media.factory.construct", True)
        factory.set_permissions(permissions)
        factory.connect("media-configure", self._on_media, camera)
        return factory

    def _on_media(self, _, media, camera):
        sink = RtspSink(media, camera.fault_at(time.monotonic()))
        with self._pacer.lock:
            playback = pb.Playback(camera, sink, self._options.join)
        self._sinks[media] = (camera, playback, sink)
        media.connect("unprepared", self._forget, playback)
        sink.begin(playback)

    def _forget(self, media, playback):
        self._pacer.remove(playback)
        self._sinks.pop(media, None)

    def sessions(self, camera):
        return [playback for owner, playback, sink in list(self._sinks.values())
                if owner is camera and sink.client]

    def _clean_up(self):
        self._server.get_session_pool().cleanup()
        return GLib.SOURCE_CONTINUE
