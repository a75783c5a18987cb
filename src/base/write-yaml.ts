/**
 * Writes values as YAML for people and `kubectl`. Reading is `yaml.ts`'s and `settings.ts`'s.
 *
 * @module
 */
import { stringify } from "yaml";

/** Writes each value as a document of its own, with "---" between them. */
export function writeYaml(values: readonly unknown[]): string {
  // Without anchors, which few people read; and nothing folded, as a line that was cut cannot be searched for.
  return values.map((value) => stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 })).join("---\n");
}
