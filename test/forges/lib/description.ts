/**
 * What a forge's published description says of its requests and answers: OpenAPI 3.0. Forge servers of tests hold each
 * request that they get and each answer that they give against it.
 *
 * Not a router: a server answers by code of its own, and asks here what operation it was.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { isList, isObject, objectIn, parseJson, valueAt, type JsonObject } from "./json.ts";
import { namesIn, pointerTo, Schemas } from "./schemas.ts";

/** An operation that a request asks for. */
export interface Operation {
  /** As the description writes it: `/repos/{owner}/{repo}`. */
  readonly template: string;
  readonly method: string;
  /** What stands in the path for the names in braces, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

interface Template {
  readonly template: string;
  readonly parts: readonly string[];
  readonly methods: ReadonlySet<string>;
}

const kept = new Map<string, Description>();

export class Description {
  readonly #schemas: Schemas;
  readonly #templates = new Map<number, Template[]>();

  constructor(document: unknown) {
    this.#schemas = new Schemas(document);
    for (const [template, item] of Object.entries(objectIn(valueAt(document, "paths")))) {
      const parts = template.split("/");
      const list = this.#templates.get(parts.length) ?? [];
      list.push({ template, parts, methods: new Set(Object.keys(objectIn(item))) });
      this.#templates.set(parts.length, list);
    }
    // What is written out goes before what stands for anything.
    for (const list of this.#templates.values()) list.sort((a, b) => bracesIn(a) - bracesIn(b));
  }

  /**
   * Reads a description from a file of JSON, once for each process.
   *
   * @param corrections what is to stand at a pointer, where the description is known not to say what the forge does
   */
  static read(path: string, corrections: Readonly<Record<string, JsonObject>> = {}): Description {
    let description = kept.get(path);
    if (description === undefined) {
      const document = parseJson(readFileSync(path, "utf8"));
      for (const [pointer, right] of Object.entries(corrections)) correct(document, pointer, right);
      description = new Description(document);
      kept.set(path, description);
    }
    return description;
  }

  /** Finds the operation that a method and a path ask for; `undefined`: there is none. */
  find(method: string, path: string): Operation | undefined {
    const parts = path.split("/");
    for (const { template, parts: wanted, methods } of this.#templates.get(parts.length) ?? []) {
      if (!methods.has(method.toLowerCase())) continue;
      const params = paramsOf(wanted, parts);
      if (params !== undefined) return { template, method: method.toLowerCase(), params };
    }
    return undefined;
  }

  /** Says what is wrong with a request of an operation: a parameter that there is not, or that has another shape. */
  complaintAboutRequest({ template, method }: Operation, query: URLSearchParams, body: unknown): string | undefined {
    const parameters = this.#parametersOf(template, method);
    for (const [name, text] of query) {
      const parameter = parameters.get(name);
      if (parameter === undefined) return `there is no query parameter "${name}"`;
      const complaint = this.#complaintAboutText(parameter, text);
      if (complaint !== undefined) return `query parameter "${name}": ${complaint}`;
    }
    for (const [name, { isRequired }] of parameters) {
      if (isRequired && !query.has(name)) return `query parameter "${name}" is missing`;
    }
    if (body === undefined) return undefined;
    const at = pointerTo("paths", template, method, "requestBody");
    const { pointer, value } = this.#schemas.resolve(at);
    const schema = valueAt(value, "content", "application/json", "schema");
    if (schema === undefined) return "there is no body in this request";
    const complaint = this.#schemas.complaintAbout(`${pointer}/content/application~1json/schema`, body);
    return complaint === undefined ? undefined : `body: ${complaint}`;
  }

  /**
   * Says what is wrong with an answer to an operation. An error that the operation does not name has to fit
   * `genericError`, the pointer of a schema, since descriptions leave out those that everything can end in.
   */
  complaintAboutAnswer(operation: Operation, answer: DescribedAnswer): string | undefined {
    const { template, method } = operation;
    const { status, body, genericError } = answer;
    const { pointer, value: response } = this.#schemas.resolve(
      pointerTo("paths", template, method, "responses", String(status)),
    );
    if (response === undefined) {
      if (status < 300) return `${method} ${template} is never answered with ${status}`;
      return body === undefined ? undefined : this.#schemas.complaintAbout(genericError, body);
    }
    const contents = objectIn(valueAt(response, "content"));
    const type = ["application/json", ...Object.keys(contents)].find((name) => name in contents);
    if (type === undefined) {
      // Of a status without a described body GitHub sends an error's, and nothing with a success.
      if (body === undefined) return undefined;
      return status < 300
        ? `${method} ${template} has no body with ${status}`
        : this.#schemas.complaintAbout(genericError, body);
    }
    if (body === undefined) return `${method} ${template} has a body with ${status}`;
    const schemaAt = `${pointer}/content/${type.replaceAll("/", "~1")}/schema`;
    return this.#schemas.complaintAbout(schemaAt, body);
  }

  /** Says what is wrong with the body of a webhook, by its name in `x-webhooks`; `undefined` too when none is described. */
  complaintAboutWebhook(name: string, body: unknown): string | undefined {
    const { pointer, value } = this.#schemas.resolve(pointerTo("x-webhooks", name, "post", "requestBody"));
    if (valueAt(value, "content", "application/json", "schema") === undefined) return undefined;
    return this.#schemas.complaintAbout(`${pointer}/content/application~1json/schema`, body);
  }

  /** Says what is wrong with a value that a schema is named for, as in `#/components/schemas/team`. */
  complaintAbout(pointer: string, value: unknown): string | undefined {
    return this.#schemas.complaintAbout(pointer, value);
  }

  #parametersOf(template: string, method: string): Map<string, Parameter> {
    const all = new Map<string, Parameter>();
    for (const base of [pointerTo("paths", template), pointerTo("paths", template, method)]) {
      const list = this.#schemas.resolve(`${base}/parameters`).value;
      if (!isList(list)) continue;
      for (const index of list.keys()) {
        const { pointer, value } = this.#schemas.resolve(`${base}/parameters/${index}`);
        if (!isObject(value) || value["in"] !== "query" || typeof value["name"] !== "string") continue;
        const schema = this.#schemas.resolve(`${pointer}/schema`);
        all.set(value["name"], {
          isRequired: value["required"] === true,
          schema: objectIn(schema.value),
          pointer: schema.pointer,
        });
      }
    }
    return all;
  }

  #complaintAboutText({ schema, pointer }: Parameter, text: string): string | undefined {
    const isNumber = schema["type"] === "integer" || schema["type"] === "number";
    if (isNumber) return this.#schemas.complaintAbout(pointer, Number(text));
    if (schema["type"] === "boolean") return text === "true" || text === "false" ? undefined : "must be a boolean";
    return schema["type"] === "string" ? this.#schemas.complaintAbout(pointer, text) : undefined;
  }
}

interface Parameter {
  readonly isRequired: boolean;
  readonly schema: JsonObject;
  readonly pointer: string;
}

export interface DescribedAnswer {
  readonly status: number;
  /** What the body's JSON says; `undefined`: it is empty. */
  readonly body: unknown;
  /** Pointer of the schema of errors. */
  readonly genericError: string;
}

function correct(document: unknown, pointer: string, right: JsonObject): void {
  const names = namesIn(pointer);
  const holder = valueAt(document, ...names.slice(0, -1));
  if (!isObject(holder)) throw new Error(`Cannot correct a description: there is nothing above "${pointer}"`);
  Reflect.set(holder, names.at(-1) ?? "", right);
}

function bracesIn({ parts }: Template): number {
  return parts.filter((part) => part.startsWith("{")).length;
}

function paramsOf(wanted: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const text = parts[index] ?? "";
    if (part.startsWith("{") && part.endsWith("}")) {
      if (text === "") return undefined;
      params[part.slice(1, -1)] = decodeURIComponent(text);
    } else if (part !== text) return undefined;
  }
  return params;
}
