/**
 * Checks values against the schemas that stand in a published description: OpenAPI 3.0 or Swagger 2.0, which both write a
 * dialect of JSON Schema. A schema is named by its pointer (RFC 6901) into the document, compiled when first asked for,
 * and kept.
 *
 * @module
 */
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import formats from "ajv-formats";
import { isList, isObject, valueAt } from "./json.ts";

/** Members of a schema that hold schemas: one, a list, or one for each name. */
const HOLDS_ONE = new Set(["items", "additionalProperties", "not"]);
const HOLDS_LIST = new Set(["allOf", "anyOf", "oneOf"]);
const HOLDS_NAMED = new Set(["properties", "patternProperties"]);
/** Members that constrain a value. All else is for people, and some of it means something else to JSON Schema. */
const CONSTRAINS = new Set([
  ...["type", "format", "enum", "required", "pattern", "minLength", "maxLength", "minimum", "maximum"],
  ...["minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "multipleOf"],
]);

export class Schemas {
  readonly document: unknown;
  /** Compiling is what takes time here, so ajv neither checks the schemas, nor copies them into each other, nor polishes. */
  readonly #ajv = new Ajv({
    ...{ strict: false, logger: false, allErrors: false },
    ...{ validateSchema: false, inlineRefs: false, code: { optimize: false } },
  });
  readonly #validators = new Map<string, ValidateFunction>();
  /** Pointers of schemas that ajv has, with the names it has them by. */
  readonly #names = new Map<string, string>();

  constructor(document: unknown) {
    this.document = document;
    formats.default(this.#ajv);
  }

  /** Says what is wrong with a value, or `undefined` when it fits the schema at `pointer`. */
  complaintAbout(pointer: string, value: unknown): string | undefined {
    let validate = this.#validators.get(pointer);
    if (validate === undefined) {
      const found = this.#ajv.getSchema(this.#add(pointer));
      if (found === undefined) throw new Error(`Cannot check a value: "${pointer}" holds no schema`);
      validate = found;
      this.#validators.set(pointer, validate);
    }
    return validate(value) ? undefined : wordErrors(validate.errors ?? []);
  }

  /** Follows `$ref` until something else is there. @returns its pointer and itself */
  resolve(pointer: string): { readonly pointer: string; readonly value: unknown } {
    let here = pointer;
    for (;;) {
      const value = valueAt(this.document, ...namesIn(here));
      const ref = valueAt(value, "$ref");
      if (typeof ref !== "string") return { pointer: here, value };
      here = ref;
    }
  }

  /** Gives ajv the schema at a pointer and all that it refers to. @returns the name that ajv has it by */
  #add(pointer: string): string {
    const known = this.#names.get(pointer);
    if (known !== undefined) return known;
    const name = `schema:${this.#names.size}`;
    this.#names.set(pointer, name);
    const schema = valueAt(this.document, ...namesIn(pointer));
    if (!isObject(schema)) throw new Error(`Cannot check a value: there is nothing at "${pointer}"`);
    const translated = this.#translate(schema);
    this.#ajv.addSchema(isObject(translated) ? { ...translated } : {}, name);
    return name;
  }

  /** Writes a schema of the description as JSON Schema. */
  #translate(schema: unknown): unknown {
    if (!isObject(schema)) return schema;
    const ref = schema["$ref"];
    if (typeof ref === "string") return { $ref: this.#add(ref) };
    const written: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(schema)) {
      if (CONSTRAINS.has(name)) written[name] = value;
      else if (HOLDS_ONE.has(name)) written[name] = this.#translate(value);
      else if (HOLDS_LIST.has(name) && isList(value)) written[name] = value.map((one) => this.#translate(one));
      else if (HOLDS_NAMED.has(name) && isObject(value)) {
        written[name] = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, this.#translate(one)]));
      }
    }
    // `nullable` stands beside `$ref`, `allOf` and `enum` too, where none of them would let null pass.
    return schema["nullable"] === true || schema["x-nullable"] === true
      ? { anyOf: [{ type: "null" }, written] }
      : written;
  }
}

/** Writes a pointer from the names on its way. */
export function pointerTo(...names: readonly string[]): string {
  return `#${names.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")}`;
}

/** Reads the names on the way of a pointer. */
export function namesIn(pointer: string): string[] {
  const escaped = decodeURIComponent(pointer).split("/").slice(1);
  return escaped.map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function wordErrors(errors: readonly ErrorObject[]): string {
  const words = errors.slice(0, 6).map(({ instancePath, message, params }) => {
    const values: unknown = Reflect.get(params, "allowedValues") ?? Reflect.get(params, "additionalProperty");
    return `${instancePath === "" ? "(top)" : instancePath} ${message ?? ""}${
      values === undefined ? "" : ` ${JSON.stringify(values).slice(0, 120)}`
    }`;
  });
  return words.join("; ");
}
