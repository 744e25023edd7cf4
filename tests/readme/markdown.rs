//! The fenced blocks, code spans, links and headings of a Markdown file.

const SHELLS: [&str; 4] = ["sh", "bash", "shell", "console"];
const MARKS: [&str; 5] = ["run", "data", "gpu", "net", "dev"];

/// A fenced block of a shell's lines, or of what they print.
#[derive(Debug)]
pub struct Block {
    /// `sh`, `console` or `text`.
    pub language: String,
    /// What the block needs.
    pub mark: String,
    pub text: String,
}

impl Block {
    /// The command lines. Continued lines are joined; in `console` only lines after `$` count. A `text` block has none.
    pub fn lines(&self) -> Vec<String> {
        let text = self.text.replace("\\\n", " ");
        let lines = text.lines().filter_map(|line| match self.language.as_str() {
            "text" => None,
            "console" => line.strip_prefix("$ "),
            _ => Some(line),
        });
        lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }
}

#[derive(Debug, Default)]
pub struct Page {
    /// Shell blocks, and the text blocks marked `run`, in order.
    pub blocks: Vec<Block>,
    /// The texts between single backticks.
    pub spans: Vec<String>,
    /// Where links and pictures lead: `docs/use.md#training`.
    pub links: Vec<String>,
    /// Its headings, as a link's `#...` names them.
    pub anchors: Vec<String>,
}

/// Reads a Markdown file. A shell block must have a mark that says what it needs.
pub fn read(markdown: &str) -> Result<Page, String> {
    let (mut page, mut prose) = (Page::default(), String::new());
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            prose += &format!("{line}\n");
            continue;
        };
        let (language, mark) = info.trim().split_once(' ').unwrap_or((info.trim(), ""));
        let shell = SHELLS.contains(&language);
        if shell && !MARKS.contains(&mark) {
            return Err(format!(
                "line {}: a block of commands says one of {MARKS:?}, not {mark:?}",
                number + 1
            ));
        }
        let mut text = String::new();
        loop {
            match lines.next() {
                Some((_, line)) if line.trim_start() == "```" => break,
                Some((_, line)) => text += &format!("{line}\n"),
                None => return Err(format!("line {}: the block is never closed", number + 1)),
            }
        }
        if shell || language == "text" && mark == "run" {
            let (language, mark) = (language.to_owned(), mark.to_owned());
            page.blocks.push(Block { language, mark, text });
        }
    }
    let spans = prose.split('`').skip(1).step_by(2);
    page.spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    page.links = links.map(|(target, _)| target.to_owned()).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    page.anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    Ok(page)
}

/// The name that GitHub gives a heading: lower case, without punctuation, with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|&c| c.is_alphanumeric() || "-_ ".contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
