// Keeps one line a visitor in its storage, and shows how many there were.
const FILE = "/data/visits.txt";

Deno.serve({ port: 8000 }, async () => {
  await Deno.writeTextFile(FILE, `${new Date().toISOString()}\n`, { append: true });
  const lines = (await Deno.readTextFile(FILE)).split("\n").length - 1;
  return new Response(`visit ${lines}\n`);
});
