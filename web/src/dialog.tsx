import type {ComponentChildren} from "preact";
import {useEffect, useRef} from "preact/hooks";

/** A modal dialog of the browser: keeps the keyboard inside, closes with Escape, and gives the keyboard back. */
export function Dialog({title, on_close, children}: {title: string; on_close?: () => void; children: ComponentChildren}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();  // before it goes: the keyboard is again where it was
  }, []);
  return (
    <dialog ref={element} aria-label={title} onCancel={(event) => { event.preventDefault(); on_close?.(); }}>
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}
