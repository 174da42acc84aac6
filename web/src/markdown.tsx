// SPDX-License-Identifier: Apache-2.0
// Markdown as elements. The text comes from a model and is not to be trusted: it is taken apart
// into tokens, and each becomes an element made here. No HTML is ever parsed: what looks like HTML
// is shown as it was written. Pictures are shown as their text, as loading them would tell others.
import { Component, Fragment } from "preact";
import type { ComponentChildren, VNode } from "preact";
import { useMemo } from "preact/hooks";
import { Lexer } from "marked";
import type { Token, Tokens } from "marked";
import { CodeBlock } from "./code";
import { decodeEntities } from "./entities";

const DEEPEST = 24; // levels of lists and quotations
const LONGEST = 200_000; // characters; longer texts stay plain
const MOST_MARKS = 1500; // of emphasis in a paragraph
const schemes = ["http:", "https:", "mailto:"];

/** An address that may be followed, or null. Relative ones mean nothing in an answer. */
export function safeAddress(href: string): string | null {
    try {
        const url = new URL(href);
        return schemes.includes(url.protocol) ? url.href : null;
    } catch {
        return null;
    }
}

function Link({ href, title, children }: {
    href: string; title: string | null | undefined; children: ComponentChildren;
}): VNode {
    const address = safeAddress(href);
    if (address === null)
        return <Fragment>{children}</Fragment>;
    return <a href={address} title={title ?? address} target="_blank"
        rel="noopener noreferrer nofollow">{children}</a>;
}

function inlines(tokens: Token[] | undefined, depth: number): ComponentChildren {
    return (tokens ?? []).map((token) => inline(token, depth));
}

function inline(token: Token, depth: number): ComponentChildren {
    if (depth > DEEPEST)
        return token.raw;
    const inner = (): ComponentChildren => inlines((token as Tokens.Generic).tokens, depth + 1);
    switch (token.type) {
    case "strong":
        return <strong>{inner()}</strong>;
    case "em":
        return <em>{inner()}</em>;
    case "del":
        return <del>{inner()}</del>;
    case "codespan":
        return <code>{(token as Tokens.Codespan).text}</code>;
    case "br":
        return <br />;
    case "link": {
        const link = token as Tokens.Link;
        return <Link href={link.href} title={link.title}>{inner()}</Link>;
    }
    case "image": {
        const image = token as Tokens.Image;
        return <Link href={image.href} title={image.title}>{`[picture: ${image.text}]`}</Link>;
    }
    case "html":
        return /^<br\s*\/?>$/i.test(token.raw) ? <br /> : token.raw;
    case "escape":
        return (token as Tokens.Escape).text;
    case "checkbox":
        return (token as Tokens.Checkbox).checked ? "☑ " : "☐ ";
    case "text":
        return (token as Tokens.Text).tokens ? inner() : decodeEntities(token.raw);
    default:
        return token.raw;
    }
}

function ListBlock({ list, depth }: { list: Tokens.List; depth: number }): VNode {
    const items = list.items.map((item) => <li>{blocks(item.tokens, depth + 1)}</li>);
    return list.ordered ? <ol start={list.start === "" ? 1 : list.start}>{items}</ol>
        : <ul>{items}</ul>;
}

function TableBlock({ table, depth }: { table: Tokens.Table; depth: number }): VNode {
    const aligned = (cell: Tokens.TableCell): string => (cell.align ? `to-${cell.align}` : "");
    return <div class="wide" role="group" aria-label="Table" tabIndex={0}><table>
        <thead><tr>{table.header.map((cell) =>
            <th scope="col" class={aligned(cell)}>{inlines(cell.tokens, depth)}</th>)}</tr></thead>
        <tbody>{table.rows.map((row) => <tr>{row.map((cell) =>
            <td class={aligned(cell)}>{inlines(cell.tokens, depth)}</td>)}</tr>)}</tbody>
    </table></div>;
}

function block(token: Token, depth: number): ComponentChildren {
    if (depth > DEEPEST)
        return <p class="raw">{token.raw}</p>;
    switch (token.type) {
    case "space":
    case "def":
        return null;
    case "paragraph":
        return <p>{inlines((token as Tokens.Paragraph).tokens, depth)}</p>;
    case "heading": {
        const heading = token as Tokens.Heading;
        // One level for all: a model may begin with any, and leave some out.
        return <h3 class={`heading-${heading.depth}`}>{inlines(heading.tokens, depth)}</h3>;
    }
    case "code": {
        const code = token as Tokens.Code;
        return <CodeBlock code={code.text} language={code.lang?.split(/[\s,{]/, 1)[0] ?? ""} />;
    }
    case "blockquote":
        return <blockquote>{blocks((token as Tokens.Blockquote).tokens, depth + 1)}</blockquote>;
    case "list":
        return <ListBlock list={token as Tokens.List} depth={depth} />;
    case "table":
        return <TableBlock table={token as Tokens.Table} depth={depth} />;
    case "hr":
        return <hr />;
    case "html":
        return <p class="raw">{token.raw.trim()}</p>;
    default:
        return inline(token, depth);
    }
}

function blocks(tokens: Token[], depth: number): ComponentChildren {
    return tokens.map((token) => block(token, depth));
}

/** A block that is made again only when its text, or what links may refer to, has changed. */
class Block extends Component<{ token: Token; links: number }> {
    override shouldComponentUpdate(next: { token: Token; links: number }): boolean {
        return next.token.raw !== this.props.token.raw || next.links !== this.props.links;
    }

    override render(): ComponentChildren {
        return block(this.props.token, 0);
    }
}

/** Lists and quotations to a depth, and marks of emphasis in a number, that no text needs: they cost
 *  stack, or time that grows with the square of them. */
function isTangled(text: string): boolean {
    if (/^(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))){32}/m.test(text)
        || /^ {80,}(?:>|[-*+] )/m.test(text))
        return true;
    return text.replace(/^```[^]*?^```/gm, "").split(/\n[ \t]*\n/)
        .some((paragraph) => paragraph.split(/[*_~]/).length > MOST_MARKS);
}

/** The tokens of a text; null where it is better shown as it is. */
export function tokensOf(text: string): ReturnType<typeof Lexer.lex> | null {
    if (text.length > LONGEST || isTangled(text))
        return null;
    try {
        return Lexer.lex(text, { gfm: true });
    } catch {
        return null;
    }
}

export function Markdown({ text }: { text: string }): VNode {
    const tokens = useMemo(() => tokensOf(text), [text]);
    if (!tokens)
        return <div class="markdown raw">{text}</div>;
    const links = Object.keys(tokens.links).length;
    return <div class="markdown">
        {tokens.map((token, i) => <Block key={i} token={token} links={links} />)}
    </div>;
}
