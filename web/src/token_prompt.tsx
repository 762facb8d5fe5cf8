import {useState} from "preact/hooks";
import {Dialog} from "./dialog.tsx";
import {store} from "./store.ts";

/** Asks for a token. It is kept for this tab only, and sent in headers, never in an address. */
export function TokenPrompt({on_close}: {on_close?: () => void}) {
  const [token, set_token] = useState("");
  const [is_wrong, set_wrong] = useState(store.is_token_wrong);
  async function use(event: SubmitEvent) {
    event.preventDefault();
    await store.use_token(token.trim());
    set_wrong(store.is_token_wrong);
    if (!store.is_token_wrong) on_close?.();
  }
  return (
    <Dialog title="This server needs a token" {...(on_close ? {on_close} : {})}>
      <form onSubmit={(event) => void use(event)}>
        <label>Token <input type="password" required autofocus autocomplete="current-password" value={token} onInput={(event) => set_token(event.currentTarget.value)} /></label>
        <p class="hint">It is kept until this tab is closed.</p>
        {is_wrong && <p class="problem" role="alert">The server does not know this token.</p>}
        <div class="actions">
          {on_close && <button type="button" onClick={() => { void store.use_token(null); on_close(); }}>Forget the token</button>}
          {on_close && <button type="button" onClick={on_close}>Cancel</button>}
          <button type="submit" class="main">Use it</button>
        </div>
      </form>
    </Dialog>
  );
}
