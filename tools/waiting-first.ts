/**
 * The order of test files within a group: first those that mostly wait, so that the others compute beside them and nothing
 * is left to wait for at the end. For the rest it is vitest's own.
 *
 * Made in `vitest.config.ts`.
 *
 * @module
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Name of the project of files that mostly wait. */
export const WAITING = "waiting";

export class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ project }: TestSpecification): number => (project.name === WAITING ? 0 : 1);
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return sorted.sort((a, b) => groupOf(a) - groupOf(b) || rank(a) - rank(b)); // the sort is stable
  }
}
