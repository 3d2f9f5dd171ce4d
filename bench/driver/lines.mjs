/** A listener for "data" that hands on whole lines, and copies each byte at most once. */
export function lineReader(onLine) {
  let parts = [];
  return (chunk) => {
    let start = 0;
    for (let end; (end = chunk.indexOf(10, start)) !== -1; start = end + 1) {
      parts.push(chunk.subarray(start, end));
      const line = parts.length === 1 ? parts[0] : Buffer.concat(parts);
      parts = [];
      if (line.length > 0) onLine(line.toString());
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  };
}

/** Writes lines to a stream; the lines of one turn of the event loop go out in one write. */
export function lineWriter(stream) {
  let waiting = "";
  const flush = () => {
    const text = waiting;
    waiting = "";
    stream.write(text);
  };
  return (line) => {
    if (waiting === "") process.nextTick(flush);
    waiting += `${line}\n`;
  };
}
