import {read_token} from "./api.ts";
import type {StreamMessage} from "./api_types.ts";
import {backoff_ms} from "./backoff.ts";

/** Figures come every second; a connection that is silent for so long is dead, whatever the browser believes. */
const SILENCE_MS = 6_000;

export interface Link {
  is_live: boolean;
  /** Since when it is not; the time of the page's start before the first connection. */
  lost_at: number;
  /** When it is tried again, ms since the epoch. */
  next_try_at: number | null;
}

export function token_protocol(token: string): string {
  const bytes = new TextEncoder().encode(token);
  return "bearer." + btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The WebSocket of the page: connects, says what it wants, connects again with back-off. */
export class Stream {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private retry_timer: number | undefined;
  private silence_timer: number | undefined;
  private wanted = "";
  private is_stopped = false;
  link: Link = {is_live: false, lost_at: Date.now(), next_try_at: null};

  constructor(
    private readonly on_message: (message: StreamMessage) => void,
    private readonly on_link: (link: Link) => void,
    /** Asked before each attempt but the first: a WebSocket does not say why it was refused. */
    private readonly may_connect: () => Promise<boolean>,
  ) {
    window.addEventListener("online", () => this.retry_now());
  }

  start(): void {
    this.is_stopped = false;
    this.connect();
  }

  stop(): void {
    this.is_stopped = true;
    clearTimeout(this.retry_timer);
    clearTimeout(this.silence_timer);
    this.drop();
  }

  retry_now(): void {
    if (this.is_stopped || this.link.is_live || this.socket) return;
    clearTimeout(this.retry_timer);
    void this.retry();
  }

  private async retry(): Promise<void> {
    if (await this.may_connect()) {
      if (!this.is_stopped && !this.socket) this.connect();
    } else if (!this.is_stopped) {
      this.on_lost();
    }
  }

  /** Whose answers to send, at most so many a second each. */
  subscribe(cameras: string[], answers_per_s: number): void {
    const text = JSON.stringify({type: "subscribe", cameras, answers_per_s, stats: true, alarms: true, events: true});
    if (text === this.wanted) return;
    this.wanted = text;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  private connect(): void {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/stream`;
    const token = read_token();
    const socket = new WebSocket(address, token ? ["framemill.v1", token_protocol(token)] : ["framemill.v1"]);
    this.socket = socket;
    this.watch_silence();
    socket.onopen = () => {
      if (this.wanted) socket.send(this.wanted);
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.watch_silence();
      if (!this.link.is_live) {
        this.attempt = 0;
        this.set_link({is_live: true, lost_at: 0, next_try_at: null});
      }
      try {
        this.on_message(JSON.parse(String(event.data)) as StreamMessage);
      } catch (error) {
        console.error("a message of the stream was not understood", error);
      }
    };
    socket.onclose = () => {
      if (socket === this.socket) this.on_lost();
    };
  }

  private watch_silence(): void {
    clearTimeout(this.silence_timer);
    this.silence_timer = window.setTimeout(() => this.on_lost(), SILENCE_MS);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onopen = null;
    socket.close();
  }

  private on_lost(): void {
    clearTimeout(this.silence_timer);
    this.drop();
    if (this.is_stopped) return;
    const wait = backoff_ms(this.attempt++, Math.random());
    this.set_link({is_live: false, lost_at: this.link.is_live ? Date.now() : this.link.lost_at, next_try_at: Date.now() + wait});
    clearTimeout(this.retry_timer);
    this.retry_timer = window.setTimeout(() => void this.retry(), wait);
  }

  private set_link(link: Link): void {
    this.link = link;
    this.on_link(link);
  }
}
