// SPDX-License-Identifier: Apache-2.0
// Small buttons with a picture, and the pictures.
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { announce } from "./announce";
import { copy } from "./clipboard";

/* Lines on a field of 24 by 24. */
const icons = {
    menu: "M4 6h16M4 12h16M4 18h16",
    plus: "M12 5v14M5 12h14",
    close: "M6 6l12 12M18 6L6 18",
    settings: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
    send: "M12 19V5M6 11l6-6 6 6",
    stop: "M7 7h10v10H7z",
    copy: "M9 9h10v10H9zM5 15V5h10",
    done: "M5 13l5 5 9-11",
    again: "M19 12a7 7 0 1 1-2-5M19 4v4h-4",
    edit: "M5 19l1-4L16 5l3 3L9 18zM14 7l3 3",
    trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
    before: "M14 6l-6 6 6 6",
    after: "M10 6l6 6-6 6",
    down: "M12 5v14M6 13l6 6 6-6",
} as const;
export type IconName = keyof typeof icons;

export function Icon({ name }: { name: IconName }): VNode {
    return <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <path d={icons[name]} />
    </svg>;
}

interface IconButtonProps {
    icon: IconName;
    label: string;
    onClick: () => void;
    disabled?: boolean;
    class?: string;
    id?: string;
    expanded?: boolean;
}

export function IconButton(props: IconButtonProps): VNode {
    return <button type="button" id={props.id} class={`icon-button ${props.class ?? ""}`}
        aria-label={props.label} title={props.label} disabled={props.disabled}
        aria-expanded={props.expanded} onClick={props.onClick}><Icon name={props.icon} /></button>;
}

const SHOWN = 1500; // ms that a copy is confirmed

export function CopyButton({ text, label }: { text: string; label: string }): VNode {
    const [copied, setCopied] = useState(false);
    useEffect(() => {
        const timer = copied ? window.setTimeout(() => setCopied(false), SHOWN) : 0;
        return () => window.clearTimeout(timer);
    }, [copied]);
    const act = async (): Promise<void> => {
        const worked = await copy(text);
        setCopied(worked);
        announce(worked ? "Copied." : "The browser does not let this page copy.");
    };
    return <IconButton icon={copied ? "done" : "copy"} label={label} onClick={() => void act()} />;
}
