// Streamlit's page says that it is in English: screen readers would read every other language so.
export default function ({ data }) {
  document.documentElement.lang = data.language;
}
