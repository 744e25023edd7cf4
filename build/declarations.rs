//! Reads the declarations of kernels and of the structs that they take. It understands only the small part of C++ that
//! the kernels use. Any other declaration is an error, so every kernel has a launch function.

use crate::fail;

/// A type as CUDA C++ writes it.
pub struct Type {
    /// `float`, `long long`, `Conv`.
    pub base: String,
    pub pointer: bool,
    /// The length of an array: 6 for `long long size[6]`.
    pub array: Option<usize>,
}

/// `TYPE name`.
pub struct Field {
    pub name: String,
    pub ty: Type,
}

/// `extern "C" __global__ void name(fields)`.
pub struct Kernel {
    pub name: String,
    pub fields: Vec<Field>,
}

/// `struct Name { fields };`
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

const KERNEL: &str = "extern \"C\" __global__ void";

/// The kernels of a file, in the order of the file.
pub fn kernels(file: &str, text: &str) -> Vec<Kernel> {
    let text = without_comments(text);
    text.split(KERNEL)
        .skip(1)
        .map(|rest| {
            let rest = match rest.trim_start().strip_prefix("__launch_bounds__(") {
                Some(rest) => rest.split_once(')').unwrap_or_else(|| unreadable(file, rest)).1,
                None => rest,
            };
            let (name, rest) = rest.split_once('(').unwrap_or_else(|| unreadable(file, rest));
            let (fields, _) = rest.split_once(')').unwrap_or_else(|| unreadable(file, rest));
            let fields = fields.split(',').filter(|f| !f.trim().is_empty()).map(|f| field(file, f)).collect();
            Kernel { name: name.trim().to_owned(), fields }
        })
        .collect()
}

/// The structs of a header.
pub fn structs(file: &str, text: &str) -> Vec<Struct> {
    let text = without_comments(text);
    text.split("struct ")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once('{').unwrap_or_else(|| unreadable(file, rest));
            let (fields, _) = rest.split_once('}').unwrap_or_else(|| unreadable(file, rest));
            let fields = fields.split(';').filter(|f| !f.trim().is_empty()).map(|f| field(file, f)).collect();
            Struct { name: name.trim().to_owned(), fields }
        })
        .collect()
}

/// Reads one declaration, such as `const float* __restrict__ x` or `long long size[6]`.
fn field(file: &str, text: &str) -> Field {
    let spaced = text.replace('*', " * ").replace('[', " [").replace("__restrict__", " ");
    let mut words: Vec<&str> = spaced.split_whitespace().filter(|&word| word != "const").collect();
    let array = words.pop_if(|word| word.starts_with('[')).map(|size| {
        let digits = size.trim_matches(['[', ']']);
        digits.parse().unwrap_or_else(|_| unreadable(file, text))
    });
    let name = words.pop().unwrap_or_else(|| unreadable(file, text)).to_owned();
    let pointer = words.pop_if(|word| *word == "*").is_some();
    if words.is_empty() {
        unreadable(file, text);
    }
    Field { name, ty: Type { base: words.join(" "), pointer, array } }
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    lines.collect::<Vec<_>>().join("\n")
}

fn unreadable(file: &str, text: &str) -> ! {
    let start: String = text.chars().take(80).collect();
    fail(&format!(
        "{file}: cannot read the declaration at `{start}`\n  expected {KERNEL} name(const float* x, int n)"
    ))
}
