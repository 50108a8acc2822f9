// Offers the branches of the chosen facility alone. The server checks them again.
"use strict";
{
    const $ = django.jQuery;

    function checkbox(branch, position, isChecked) {
        const input = document.createElement("input");
        Object.assign(input, {
            type: "checkbox",
            name: "branches",
            value: branch.id,
            id: `id_branches_${position}`,
            checked: isChecked,
        });
        const label = document.createElement("label");
        label.htmlFor = input.id;
        label.append(input, ` ${branch.label}`);
        const row = document.createElement("div");
        row.append(label);
        return row;
    }

    $(function() {
        const facility = document.getElementById("id_facility");
        const branches = document.getElementById("id_branches");
        if (!facility || !branches) {
            return;
        }
        const chosen = new Set();

        // select2 reports a change to jQuery alone.
        $(facility).on("change", async function() {
            for (const input of branches.querySelectorAll("input")) {
                chosen[input.checked ? "add" : "delete"](input.value);
            }
            branches.replaceChildren();
            const id = facility.value;
            if (!id) {
                return;
            }
            const response = await fetch(`${facility.dataset.branchesUrl}?facility=${id}`);
            const offered = response.ok ? (await response.json()).branches : [];
            if (facility.value === id) {
                branches.replaceChildren(...offered.map((branch, position) =>
                    checkbox(branch, position, chosen.has(String(branch.id)))));
            }
        });
    });
}
