// Makes the table of tracks sortable by its headings and filterable by words; without it, it is a plain table.
(() => {
  const worth = {
    text: (said) => said.toLocaleLowerCase(),
    state: (said) => said,
    number: (said) => Number(said.replaceAll(",", "")),
    clock: (said) => said.split(":").reduce((whole, part) => whole * 60 + Number(part), 0),
  };
  const collator = new Intl.Collator(undefined, { numeric: true });

  function connectTable(section) {
    const body = section.querySelector("tbody"), headings = [...section.querySelectorAll("th")];
    const filter = section.querySelector("input"), told = section.querySelector("output");
    const rows = [...body.rows], total = rows.length;
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLocaleLowerCase());

    const sort = (column) => {
      const heading = headings[column], isDown = heading.ariaSort === "ascending";
      const read = worth[heading.dataset.kind];
      const keyed = [...body.rows].map((row) => {
        const said = row.cells[column].textContent;
        return { row, key: said === "" ? null : read(said) };
      });
      keyed.sort(({ key: one }, { key: other }) => {
        if (one === null || other === null) return (one === null) - (other === null);
        const order = typeof one === "number" ? one - other : collator.compare(one, other);
        return isDown ? -order : order;
      });
      for (const each of headings) each.ariaSort = each === heading ? (isDown ? "descending" : "ascending") : null;
      body.append(...keyed.map(({ row }) => row));
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(column));
      heading.replaceChildren(button);
    });
    filter.addEventListener("input", () => {
      const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => texts[index].includes(word));
        shown += !row.hidden;
      });
      told.value = `${shown.toLocaleString("en")} of ${total.toLocaleString("en")}`;
    });
  }
  document.querySelectorAll(".all-tracks").forEach(connectTable);
})();
