// Reads the page anew for each request, so that an edit is live at once.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const port = Number(process.env.PORT ?? 3000);

createServer(async (request, response) => {
  try {
    const page = await readFile(new URL("public/index.html", import.meta.url), "utf8");
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(page.replaceAll("{greeting}", process.env.GREETING ?? "Hello"));
  } catch (error) {
    response.writeHead(500).end(`${error.message}\n`);
  }
}).listen(port, "127.0.0.1", () => {
  console.log(`listening on 127.0.0.1:${port}`);
});
