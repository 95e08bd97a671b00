import { render } from "preact";
import type { PageData } from "../../src/page/contract.ts";
import { App } from "./app.tsx";
import { LabellingPage } from "./labelling.tsx";
import { carriedSource } from "./carried-source.ts";
import { servedSource } from "./served-source.ts";
// oxlint-disable-next-line import/no-unassigned-import -- the style has nothing to give
import "./page.css";

const data = JSON.parse(document.getElementById("data")!.textContent) as PageData; // as html.ts wrote it
const source = data.kind === "report" ? carriedSource(data) : servedSource();
render(data.kind === "labels" ? <LabellingPage /> : <App source={source} />, document.getElementById("page")!);
