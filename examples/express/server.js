// Short links: POST a URL, get a short one, follow it.
const crypto = require("node:crypto");
const express = require("express");

const app = express();
const links = new Map();

app.use(express.urlencoded({ extended: false, limit: "4kb" }));

app.get("/", (request, response) => {
  response.type("html").send(`<!doctype html>
<title>Short links</title>
<style>body { font: 18px/1.5 system-ui; max-width: 30em; margin: 4em auto; padding: 0 1em }</style>
<h1>Short links</h1>
<form method="post"><input name="url" type="url" placeholder="https://" required size="30"> <button>Shorten</button></form>
<p>${links.size} so far, node ${process.version}</p>`);
});

app.post("/", (request, response) => {
  const url = String(request.body.url || "");
  if (!/^https?:\/\/\S+$/.test(url)) {
    return response.status(422).type("text").send("That is no http or https URL.\n");
  }
  const id = crypto.createHash("sha256").update(url).digest("base64url").slice(0, 6);
  links.set(id, url);
  if (links.size > 1000) links.delete(links.keys().next().value);
  console.log(`${id} leads to ${url}`);
  response.status(201).type("text").send(`${request.protocol}://${request.get("host")}/${id}\n`);
});

app.get("/:id", (request, response) => {
  const url = links.get(request.params.id);
  if (!url) return response.status(404).type("text").send("No such link.\n");
  response.redirect(url);
});

const port = process.env.PORT || 3000;
const servers = [app.listen(port, () => console.log(`listening on ${port}`))];
// The router of this machine takes the short way, where flynn offers it.
if (process.env.FLYNN_SOCKET) servers.push(app.listen(process.env.FLYNN_SOCKET));
process.on("SIGTERM", () => servers.forEach((server) => server.close()));
