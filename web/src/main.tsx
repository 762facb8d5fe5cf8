import {render} from "preact";
import {App} from "./app.tsx";
import {store} from "./store.ts";
import "./style.css";
import {read_theme, set_theme} from "./theme.ts";

set_theme(read_theme());
render(<App />, document.getElementById("app")!);
void store.start();
