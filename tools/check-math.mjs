// Sets every ```math block of the sources and of docs/ with the KaTeX of docs/katex/, strictly: an unknown command, a
// sign that LaTeX has not, or one whose font katex.css leaves out, fails with its file and line.
//
//   node tools/check-math.mjs
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const script = readFileSync(join(root, "docs/katex/katex.js"), "utf8");
const katex = vm.runInNewContext(`${script}; katex`, { console });

// KaTeX's classes for fonts that tools/vendor-katex.sh leaves out.
const absent = ["amsrm", "boldsymbol", "mathbb", "mathbf", "mathcal", "mathfrak", "mathit", "mathscr", "mathsf",
  "mathtt", "textbf", "textit", "textsf", "texttt"];

let formulas = 0;
const mistakes = [];
const below = (folder, ending) => {
  const names = readdirSync(join(root, folder), { recursive: true }).sort().map((name) => join(folder, name));
  return names.filter((name) => name.endsWith(ending));
};
for (const name of [...below("src", ".rs"), ...below("docs", ".md")]) {
  const text = readFileSync(join(root, name), "utf8");
  for (const block of text.matchAll(/^ *(?:\/\/[\/!] )?```math\n([^]*?)^ *(?:\/\/[\/!] )?```$/gm)) {
    const source = block[1].replace(/^ *\/\/[\/!] ?/gm, "");
    const line = text.slice(0, block.index).split("\n").length;
    formulas += 1;
    try {
      const html = katex.renderToString(source, { displayMode: true, throwOnError: true, strict: "error" });
      const classes = new Set([...html.matchAll(/class="([^"]*)"/g)].flatMap((found) => found[1].split(" ")));
      const missing = absent.filter((name) => classes.has(name));
      if (missing.length) throw new Error(`katex.css has no font for ${missing.join(", ")}`);
    } catch (error) {
      mistakes.push(`${name}:${line}: ${error.message}`);
    }
  }
}
for (const mistake of mistakes) console.error(mistake);
console.log(`${formulas} blocks of formulas, ${mistakes.length} with mistakes`);
process.exit(mistakes.length || !formulas ? 1 : 0);
