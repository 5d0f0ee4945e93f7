export { mount } from "./tables.js";
