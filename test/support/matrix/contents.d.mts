import type { JsonObject } from "../../../src/call.ts";

export declare const toolsOf: (id: string) => JsonObject[];
export declare const resourcesOf: (id: string) => JsonObject[];
export declare const templatesOf: (id: string) => JsonObject[];
export declare const promptsOf: () => JsonObject[];
export declare const kinds: (id: string) => JsonObject;
