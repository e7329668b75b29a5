// Shows the schema in ReDoc, without its search: that would need workers made from strings.
const place = document.getElementById("api");

// ReDoc's footer asks another site for a logo. Nothing here is loaded from elsewhere; an image that failed is left out.
const image = HTMLImageElement.prototype;
const { get, set } = Object.getOwnPropertyDescriptor(image, "src");
const setAttribute = image.setAttribute;

function load(element, address) {
  if (new URL(address, location.href).origin === location.origin) {
    set.call(element, address);
  } else {
    setTimeout(() => element.dispatchEvent(new Event("error")));
  }
}

Object.defineProperty(image, "src", {
  get,
  set(address) {
    load(this, address);
  },
});
image.setAttribute = function (name, value) {
  if (name.toLowerCase() === "src") {
    load(this, value);
  } else {
    setAttribute.call(this, name, value);
  }
};

Redoc.init(place.dataset.schema, { disableSearch: true }, place);
