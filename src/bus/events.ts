import { randomBytes } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Call, Caller, JsonObject } from "../call.ts";
import type { Cancel } from "../cancel.ts";
import type { Catalog } from "../catalog/catalog.ts";
import type { Report } from "../events.ts";
import { settlesWithin } from "../time.ts";
import { Audit, type Audited } from "./audit.ts";
import { Bus, type Subscriber, type Told } from "./bus.ts";
import { EventResources } from "./event-resources.ts";
import type { EventsOptions, RunOptions, SubscriptionOptions } from "./events-options.ts";
import type { Found, Query } from "./history.ts";
import { listedTool, nameOf, toolOf } from "./runs.ts";
import { Sink, type SinkStatus } from "./sinks.ts";
import { Subscription, type SubscriptionSurroundings } from "./subscriptions.ts";

/** What events stand on. */
export interface EventsSurroundings extends Pick<SubscriptionSurroundings, "door" | "mayRun"> {
  readonly report: Report;
  /** Takes secrets out of a text. */
  readonly redact: (text: string) => string;
  /** Whether they start nothing and are written nowhere, as for a command that only looks. */
  readonly passive: boolean;
}

/** Milliseconds that what is under way gets at the end, and the files after that. */
const drain = 2000;

/** Subscriptions that are made at run time, of one principal. */
const mostMade = 100;

/** Something on the bus that config describes. */
interface Attached<Thing> {
  readonly thing: Thing;
  readonly detach: () => void;
}

/** The bus, and all that config and callers have put on it. */
export class Events {
  readonly resources: EventResources;
  readonly #around: EventsSurroundings;
  readonly #bus: Bus;
  #options: EventsOptions | undefined;
  #audit: Attached<Audit> | undefined;
  #sinks: readonly Attached<Sink>[] = [];
  #subscriptions: readonly Attached<Subscription>[] = [];
  /** Those that were made at run time, by their ids. */
  readonly #made = new Map<string, Attached<Subscription>>();

  constructor(around: EventsSurroundings) {
    this.#around = around;
    this.#bus = new Bus(around.redact);
    this.resources = new EventResources(this.#bus);
  }

  /** Takes an event of the gateway. Never throws, never waits. */
  get take(): Report {
    return this.#bus.take;
  }

  /** Puts another config in place: what it has in common with the last goes on as it is. */
  apply(options: EventsOptions): void {
    const before = this.#options;
    this.#options = options;
    this.#bus.history.bound(options.history);
    this.resources.configure(typesOf(options));
    if (this.#around.passive) return;
    if (!isDeepStrictEqual(before?.audit, options.audit)) {
      const old = this.#audit;
      this.#audit = options.audit && this.#attach(new Audit(options.audit, this.#tell));
      if (old !== undefined) void retire(old);
    }
    const { sinks, subscriptions } = options;
    const around = { ...this.#around, onProblem: this.#tell };
    const oldSinks = [...this.#sinks];
    this.#sinks = sinks.map((one) => taken(oldSinks, one) ?? this.#attach(new Sink(one, around)));
    for (const old of oldSinks) void retire(old);
    const oldSubscriptions = [...this.#subscriptions];
    this.#subscriptions = subscriptions.map(
      (one) => taken(oldSubscriptions, one) ?? this.#attach(new Subscription(one, around)),
    );
    for (const { thing, detach } of oldSubscriptions) {
      detach();
      thing.stop(false);
    }
  }

  /** Publishes an event of a caller's; its data takes so many bytes. Never rejects. */
  publish(
    type: string,
    data: unknown,
    bytes: number,
    call: Pick<Call, "caller" | "trace">,
  ): Promise<Told> {
    this.resources.saw(type);
    return this.#bus.publish(type, data, bytes, call);
  }

  query(query: Query): Found {
    return this.#bus.history.find(query);
  }

  /** Undefined where nothing is audited. Rejects where the file cannot be read. */
  queryAudit(query: Query, signal: Cancel): Promise<Audited> | undefined {
    return this.#audit?.thing.query(query, signal);
  }

  /** Why a caller may not have something started by events; undefined where it may. */
  mayStart(run: RunOptions, caller: Caller): string | undefined {
    const tool = toolOf(run, this.#around.door);
    return tool === undefined ? `${nameOf(run)} is not there` : this.#around.mayRun(tool, caller);
  }

  /** The id of a new subscription of that caller's, or undefined where it has too many. */
  subscribe(options: SubscriptionOptions, owner: Caller): string | undefined {
    const { principal } = owner;
    const theirs = [...this.#made.values()].filter(
      ({ thing }) => thing.owner?.principal === principal,
    );
    if (theirs.length >= mostMade) return undefined;
    const id = randomBytes(9).toString("base64url");
    const around = { ...this.#around, onProblem: this.#tell };
    this.#made.set(id, this.#attach(new Subscription(options, around, { id, owner })));
    return id;
  }

  /** Ends a subscription of that caller's; false where there is none. */
  unsubscribe(id: string, { principal }: Caller): boolean {
    const made = this.#made.get(id);
    if (made?.thing.owner?.principal !== principal) return false;
    this.#made.delete(id);
    made.detach();
    made.thing.stop(false);
    return true;
  }

  /** Resolves with how all sinks do, when what waited was handed over or a try of that failed. */
  async flush(): Promise<readonly SinkStatus[]> {
    const sinks = this.#sinks.map(({ thing }) => thing);
    await Promise.all([this.#audit?.thing.flush(), ...sinks.map((sink) => sink.flush())]);
    return this.#sinkStatus();
  }

  status(): JsonObject {
    const subscriptions = [...this.#subscriptions, ...this.#made.values()];
    return {
      subscriptions: subscriptions.map(({ thing }) => thing.status()),
      sinks: this.#sinkStatus(),
    };
  }

  /** What config says of tools that are not there; a line for each. */
  references(catalog: Pick<Catalog, "tools">): string[] {
    const { subscriptions = [], sinks = [] } = this.#options ?? {};
    return [
      ...subscriptions.flatMap(({ on, run }) =>
        listedTool(run, catalog) === undefined
          ? [`events: the subscription of ${on}: ${nameOf(run)} is not there`]
          : [],
      ),
      ...sinks.flatMap((one) =>
        one.type === "tool" && !catalog.tools.has(one.tool)
          ? [`events: the sink ${one.tool}: there is no such tool`]
          : [],
      ),
    ];
  }

  /** Ends what events start, and hands over what waits, while there are servers; two seconds at most. */
  async drain(): Promise<void> {
    const subscriptions = [...this.#subscriptions, ...this.#made.values()];
    const work = async (): Promise<void> => {
      await Promise.all(subscriptions.map(({ thing }) => thing.settled()));
      await this.flush();
    };
    await settlesWithin(work(), drain);
    for (const { thing, detach } of subscriptions) {
      detach();
      thing.stop(true);
    }
  }

  /** Ends it, when there are no servers any more, with all that has happened written down; some seconds at most. */
  async close(): Promise<void> {
    this.resources.close();
    const sinks = this.#sinks.map(({ thing }) => thing);
    // To try them once more would only make events that come behind the last flush of the files.
    for (const sink of sinks) if (!sink.isFile) sink.close();
    await settlesWithin(this.flush(), drain);
    for (const sink of sinks) sink.close();
    const audit = this.#audit?.thing;
    if (audit === undefined) return;
    // What the sinks have lost stands there, too.
    await settlesWithin(audit.flush(), drain);
    audit.close();
  }

  #sinkStatus(): SinkStatus[] {
    const sinks = this.#sinks.map(({ thing }) => thing.status());
    return this.#audit === undefined
      ? sinks
      : [...sinks, { name: "the audit file", ...this.#audit.thing.status() }];
  }

  #attach<Thing extends Subscriber>(thing: Thing): Attached<Thing> {
    return { thing, detach: this.#bus.subscribe(thing) };
  }

  readonly #tell = (problem: string): void =>
    this.#around.report({ type: "event.problem", problem });
}

/** Types that config names one by one. */
const typesOf = ({ subscriptions, sinks, audit }: EventsOptions): string[] => [
  ...subscriptions.map(({ on }) => on),
  ...sinks.flatMap(({ types }) => types),
  ...(audit?.types ?? []),
];

/** Takes the one that is what config says out of those that there were. */
function taken<Options, Thing extends { is(options: Options): boolean }>(
  before: Attached<Thing>[],
  options: Options,
): Attached<Thing> | undefined {
  const at = before.findIndex(({ thing }) => thing.is(options));
  return at === -1 ? undefined : before.splice(at, 1)[0];
}

/** Ends something that config has taken away, when what it has accepted is handed over. */
async function retire({ thing, detach }: Attached<Sink | Audit>): Promise<void> {
  detach();
  await settlesWithin(thing.flush(), drain);
  thing.close();
}
