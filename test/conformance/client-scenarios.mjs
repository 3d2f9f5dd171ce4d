/** What is done with the server in scenarios that want something of their own. */
export const scenarios = {};
