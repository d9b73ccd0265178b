'use strict';

// What the bench's figures have in common: SVG that is readable on light and on dark, and needs no script and no font of
// its own.

/**
 * @typedef {object} Figure
 * @property {number} width
 * @property {number} height
 * @property {number} left where its headline begins
 * @property {string} headline
 * @property {string} note below the headline
 * @property {string} description for who cannot see it
 * @property {string} [style] beside the usual one
 */

/**
 * @param {Figure} figure
 * @param {string[]} bodies elements
 * @returns {string} the file
 */
function svg({ width, height, left, headline, note, description, style = '' }, bodies) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escapeXml(headline)}</title>`,
    `<desc id="description">${escapeXml(description)}</desc>`,
    `<style>${STYLE}${style}</style>`,
    `<rect class="ground" width="${width}" height="${height}" rx="10"/>`,
    `<text class="headline" x="${left}" y="34">${escapeXml(headline)}</text>`,
    `<text class="note" x="${left}" y="55">${escapeXml(note)}</text>`,
    ...bodies,
    '</svg>\n',
  ].join('\n');
}

/** @param {string | undefined} model without what its maker adds */
function processor(model = 'processor') {
  return (
    model
      .replace(/\((R|TM)\)|CPU|Processor|@.*/g, '')
      .replace(/\s+/g, ' ')
      .trim() || 'processor'
  );
}

/** @param {number} value */
function whole(value) {
  return value.toLocaleString('en-US');
}

/** @param {string} text */
function escapeXml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const STYLE = `
text { font: 12px -apple-system, "Segoe UI", Inter, "Helvetica Neue", "DejaVu Sans", Arial, sans-serif; fill: #24292f; }
.headline { font-size: 21px; font-weight: 650; }
.note, .axis { fill: #5b636d; }
.axis { font-size: 11.5px; }
.title { font-size: 13.5px; font-weight: 600; }
.figure { font-size: 13.5px; text-anchor: end; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.ground { fill: #ffffff; }
.grid { stroke: #e4e8ec; }
.tick { stroke: #8b949e; }
.border { stroke: #8b949e; stroke-dasharray: 3 3; }
.stroke { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
.fill { fill-opacity: 0.16; }
.band { fill-opacity: 0.28; }
.stroke.blue { stroke: #1f6feb; } .blue:not(.stroke) { fill: #1f6feb; }
.stroke.green { stroke: #1a8f4b; } .green:not(.stroke) { fill: #1a8f4b; }
.stroke.amber { stroke: #d9840b; } .amber:not(.stroke) { fill: #d9840b; }
.stroke.brown { stroke: #8a4b08; } .brown:not(.stroke) { fill: #8a4b08; }
.stroke.violet { stroke: #8250df; } .violet:not(.stroke) { fill: #8250df; }
.stroke.red { stroke: #d1242f; } .red:not(.stroke) { fill: #d1242f; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note, .axis { fill: #9ba6b2; }
  .ground { fill: #0d1117; }
  .grid { stroke: #262d36; }
  .fill { fill-opacity: 0.24; }
  .stroke.brown { stroke: #f0d2a8; } .brown:not(.stroke) { fill: #f0d2a8; }
  .stroke.violet { stroke: #a984f0; } .violet:not(.stroke) { fill: #a984f0; }
}
`;

module.exports = { escapeXml, processor, svg, whole };
