import type {ComponentChildren} from "preact";
import {useEffect, useRef} from "preact/hooks";

/** A modal dialog of the browser: keeps the keyboard inside, closes with Escape. */
export function Dialog({title, on_close, children}: {title: string; on_close?: () => void; children: ComponentChildren}) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    element.current?.showModal();
  }, []);
  return (
    <dialog ref={element} aria-label={title} onCancel={(event) => { event.preventDefault(); on_close?.(); }}>
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}
